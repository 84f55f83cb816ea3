import { cpSync, lstatSync, mkdirSync, symlinkSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { run } from '../kind/command.ts';

/** What no program reads at run time: half of the size. Licences stay. */
const unread = /(\.d\.[cm]?ts|\.map|\.tsbuildinfo)$/;

/**
 * Copies the packages that a workspace needs in production, from what is installed here by the lock file, into `target/node_modules`. Workspaces
 * themselves are linked, not copied, as npm does.
 */
export async function copyProductionPackages(root: string, workspace: string, target: string): Promise<void> {
  for (const source of await productionPackages(root, workspace)) {
    const copy = join(target, relative(root, source));
    mkdirSync(dirname(copy), { recursive: true });
    if (lstatSync(source).isSymbolicLink()) {
      const link = join('..', '..', basename(source));
      symlinkSync(link, copy);
    } else {
      cpSync(source, copy, { recursive: true, filter: (file) => belongs(relative(source, file)) });
    }
  }
}

/** A package's own packages are listed by npm one by one, so that those for development stay out. */
function belongs(file: string): boolean {
  return !file.split(sep).includes('node_modules') && !unread.test(file);
}

/** Directories below `node_modules`. */
async function productionPackages(root: string, workspace: string): Promise<readonly string[]> {
  const args = ['ls', '--omit=dev', '--all', '--parseable', `--workspace=${workspace}`];
  const listed = await run('npm', args, { cwd: root });
  const inside = listed.split('\n').filter((line) => relative(root, line).startsWith(`node_modules${sep}`));
  // Packages name those of types as dependencies because their own types mention them.
  return inside.filter((directory) => !directory.includes(`${sep}@types${sep}`));
}
