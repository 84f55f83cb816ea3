/**
 * The directory that `docker build` gets for one of our images:
 *
 *   Dockerfile, flinkjob-<name>     from images/<name>
 *   node                            the Node that the project pins
 *   program/                        /opt/flinkjob of the image: the workspaces as JavaScript, beside the packages they need in production
 *
 * It is put together here and not in the Dockerfile, because what it consists of is here already and pinned (packages by the lock file, the RocksDB addon
 * by its sources), and so the image can be built where a container has no network.
 */
import { copyFileSync, cpSync, linkSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNative } from '../build-native.ts';
import { run } from '../kind/command.ts';
import { copyProductionPackages } from './production-packages.ts';

export interface OwnImage {
  readonly name: 'runtime' | 'operator';
  /** Whose production packages it needs. */
  readonly workspace: string;
  /** In dependency order; the last is what the image is for. */
  readonly sources: readonly ('runtime' | 'operator')[];
  /** The operator opens no state. */
  readonly hasNative: boolean;
}

export const ownImages: readonly OwnImage[] = [
  { name: 'runtime', workspace: '@flinkjob/runtime', sources: ['runtime'], hasNative: true },
  { name: 'operator', workspace: '@flinkjob/operator', sources: ['runtime', 'operator'], hasNative: false },
];

const root = fileURLToPath(new URL('../..', import.meta.url));
const compileTimeoutMs = 5 * 60_000;

/** Into a directory that is there and empty. The workspaces are those of `checkout`, which is this one or an older one below it; what they need is installed here. */
export async function layOutBuildContext(image: OwnImage, directory: string, checkout = root): Promise<void> {
  const program = join(directory, 'program');
  mkdirSync(program);
  cpSync(join(checkout, 'images', image.name), directory, { recursive: true });
  const node = realpathSync(join(root, 'node_modules', '.bin', 'node'));
  linkOrCopy(node, join(directory, 'node'));
  writeFileSync(join(program, 'package.json'), '{ "private": true, "type": "module" }\n');
  await compile(image, program, checkout);
  await copyProductionPackages(root, image.workspace, program);
  if (image.hasNative) {
    await copyNative(program);
  }
  rmSync(join(directory, 'compiled'), { recursive: true });
  // Readable by any user, writable by none but root, whatever the umask here. Done in the Dockerfile it would store every file twice.
  await run('chmod', ['-R', 'u=rwX,go=rX', program]);
}

/**
 * Type stripping would give each process, and each of its threads, a compiler of its own of 20 to 40 MiB. `noCheck`: whether the types are right is
 * for `npm run verify` to say.
 */
async function compile(image: OwnImage, program: string, checkout: string): Promise<void> {
  const compiled = join(program, '..', 'compiled');
  const tsc = join(root, 'node_modules', '.bin', 'tsc');
  // Said, as an older checkout has no packages of its own beside or above it.
  const types = ['--typeRoots', join(root, 'node_modules', '@types')];
  const project = ['--project', join(checkout, 'images')];
  await run(tsc, [...project, ...types, '--noCheck', '--outDir', compiled], { timeoutMs: compileTimeoutMs });
  for (const source of image.sources) {
    cpSync(join(compiled, source, 'src'), join(program, source, 'src'), { recursive: true });
    const manifest = readFileSync(join(checkout, source, 'package.json'), 'utf8');
    // `exports` and `bin` name the sources.
    writeFileSync(join(program, source, 'package.json'), manifest.replaceAll(/("\.\/src\/[^"]+)\.ts"/g, '$1.js"'));
  }
}

/** As the platform's package, which is where a runtime that is not in this checkout looks. */
async function copyNative(program: string): Promise<void> {
  const platform = `native-linux-${process.arch}-gnu`;
  const manifest = join(root, 'runtime', 'native', 'npm', platform.replace('native-', ''), 'package.json');
  const target = join(program, 'node_modules', '@flinkjob', platform);
  const built = dirname(await buildNative());
  mkdirSync(target);
  copyFileSync(manifest, join(target, 'package.json'));
  const { files } = JSON.parse(readFileSync(manifest, 'utf8')) as { readonly files: readonly string[] };
  for (const file of files) {
    copyFileSync(join(built, file), join(target, file));
  }
}

/** Linked where it can be: it has more than 100 MB. */
function linkOrCopy(source: string, target: string): void {
  try {
    linkSync(source, target);
  } catch {
    copyFileSync(source, target);
  }
}
