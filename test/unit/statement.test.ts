import { describe, expect, it } from 'vitest'
import { kindOf } from '../../src/postgres/store/statement.js'

describe("a handler's statement", () => {
  it.each([
    'insert into orders values ($1)',
    '  with x as (select 1) select * from x;',
    'select case when a then 1 end from t',
    "select 'commit; begin'",
    'update t set a = 1; update t set b = 2',
    'savepoint a',
    'release savepoint a',
    'rollback to savepoint a',
    'rollback work to a',
    'set local search_path = app',
    'set constraints all deferred',
    'set transaction isolation level serializable',
    'do $$ begin perform 1; commit; end $$',
    "select E'a'\n'\\'; commit; --'",
    'do $é😀$ begin perform 1; commit; end $é😀$',
    'select 1 as "x"; select 2 as naïve$$; select 3',
    'do $body$ begin perform $$;commit$$; end $body$',
    '/* begin; /* nested */ commit; */ select 1; -- commit\n select 2',
    'select "begin"; select 1',
    "insert into t values ('a''; commit; --'); select 1",
    'prepare',
    '',
  ])('is plain: %s', (text) => {
    expect(kindOf(text).command).toBeUndefined()
    expect(kindOf(text).refused).toBeUndefined()
  })

  it.each([
    ['begin', 'begin'],
    ['BEGIN;', 'begin'],
    ['begin transaction', 'begin'],
    ['start transaction', 'begin'],
    ['START TRANSACTION READ WRITE', 'begin'],
    ['begin isolation level read committed', 'begin'],
    ['/* orm */ commit', 'commit'],
    ['-- orm\ncommit work', 'commit'],
    ['-- orm\rcommit', 'commit'],
    ['END', 'commit'],
    ['commit and no chain', 'commit'],
    ['rollback', 'rollback'],
    ['ROLLBACK TRANSACTION;', 'rollback'],
    ['abort', 'rollback'],
  ] as const)('begins or ends a transaction: %s', (text, command) => {
    expect(kindOf(text)).toMatchObject({ command })
  })

  it.each([
    ['begin isolation level serializable', 'isolation level serializable'],
    ['begin read only', 'read only'],
    ['commit and chain', 'AND CHAIN'],
    ['insert into t values (1); commit', 'COMMIT in one text'],
    ['commit; begin', 'COMMIT in one text'],
    ["select 'a\\''; commit; --'", 'COMMIT in one text'],
    ["select E'a\\''; commit", 'COMMIT in one text'],
    ['select 1 as 😀$$; commit; --$$', 'COMMIT in one text'],
    ["select $😀$ ' $😀$; commit; --'", 'COMMIT in one text'],
    ['select 1a$$; commit; --$$', 'COMMIT in one text'],
    ['select 1; -- note\rcommit', 'COMMIT in one text'],
    ["select '\\' || '\\', E'a'\n'\\' '; commit; --", 'COMMIT in one text'],
    ['set transaction read only', 'read only'],
    ['set transaction isolation level read committed, read only', 'read only'],
    ['set local transaction_read_only = on', 'read only'],
    ["prepare transaction 'x'", 'two-phase'],
    ["commit prepared 'x'", 'two-phase'],
    ['reset all', 'RESET ALL'],
    ['set names latin1', 'client_encoding'],
    ["set local client_encoding to 'latin1'", 'client_encoding'],
    ["set session client_encoding = 'sql_ascii'", 'client_encoding'],
  ])('is refused: %s', (text, why) => {
    expect(kindOf(text).refused).toContain(why)
  })

  it('that leaves its mark on the session is told from one that does not', () => {
    const marks = [
      'set search_path = app',
      'reset search_path',
      'set session statement_timeout = 5',
      "select set_config('role', 'app', false)",
      'listen news',
      "select \"set_config\"('role', 'app', false)",
      'create table pg_temp.t (n int)',
      "do $$ begin set search_path = 'app'; end $$",
      'call change_settings()',
      'prepare one as select 1',
      'create temp table t (n int)',
      'create temporary table t (n int)',
      'select pg_advisory_lock(1)',
      'declare c cursor with hold for select 1',
      'insert into t values (1); set search_path = app',
    ]
    expect(marks.filter((text) => !kindOf(text).session)).toEqual([])
    const none = [
      'update t set a = 1',
      'set local search_path = app',
      'set constraints all immediate',
      'select pg_advisory_xact_lock(1)',
      'insert into t select 1; update t set n = 2',
      "set names 'utf8'",
    ]
    expect(none.filter((text) => kindOf(text).session)).toEqual(["set names 'utf8'"])
  })

  it('is not looked at beyond its first word where nothing follows: megabytes of values cost next to nothing', () => {
    const value = "begin; commit '' \\ ".repeat(200_000)
    const text = `insert into t values ('${value.replaceAll(';', ',')}')`
    const began = process.cpuUsage()
    expect(kindOf(text)).toEqual({ session: false })
    expect(process.cpuUsage(began).user / 1000).toBeLessThan(100)
  })
})
