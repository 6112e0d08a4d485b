import { vi } from 'vitest'

/*
 * Unit tests share a process with the files before them (see vitest.config.ts), but none of their modules, and no mock.
 */
vi.doUnmock('node:timers/promises')
vi.resetModules()
