create table if not exists invoices (order_id text primary key, amount int not null)
