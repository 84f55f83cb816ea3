/** Builds what runs the Lua of `examples/argo-cd` in tests, with the interpreter that Argo CD uses, unless it is there already. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildGoProgram } from '../build-go-program.ts';

/** Gives the program's file. Throws `GoProgramBuildError`. */
export function buildLua(): Promise<string> {
  return buildGoProgram({
    ...{ cacheName: 'lua', title: 'the Lua interpreter of Argo CD', fileName: 'lua' },
    module: fileURLToPath(new URL('.', import.meta.url)),
    command: './lua',
    expected: 'a few seconds',
  });
}

/** What `npm test` has built before it starts the tests; undefined when that was not possible. */
export function builtLua(): string | undefined {
  const file = fileURLToPath(new URL('../../.cache/lua/current/lua', import.meta.url));
  return existsSync(file) ? file : undefined;
}
