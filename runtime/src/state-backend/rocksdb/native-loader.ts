import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { JobError } from '../../core/job-error.ts';
import type { NativeBinding } from './native-binding.ts';

/** Where an addon was looked for, and why that was not it. */
export interface TriedPlace {
  readonly place: string;
  readonly reason: string;
}

export type NativeBindingAvailability =
  | { readonly state: 'Available'; readonly path: string; readonly rocksdbVersion: string }
  | { readonly state: 'Missing'; readonly tried: readonly TriedPlace[] };

export interface NativePlaces {
  /** Nothing else is tried when there is one. */
  readonly explicitPath: string | undefined;
  /** Package names, as a program of the runtime would import them. */
  readonly packages: readonly string[];
  /** What `hack/build-native.ts` builds. */
  readonly localBuild: string;
}

type Found = { readonly binding: NativeBinding; readonly path: string } | { readonly tried: readonly TriedPlace[] };

const require = createRequire(import.meta.url);

/** Only one of a platform's packages can be installed, because npm looks at their `libc`. */
const platformPackages =
  process.platform === 'linux'
    ? [`@flinkjob/native-linux-${process.arch}-gnu`, `@flinkjob/native-linux-${process.arch}-musl`]
    : [`@flinkjob/native-${process.platform}-${process.arch}`];

/** The environment is read here, once for each thread and when it starts. */
const places: NativePlaces = {
  explicitPath: process.env['FLINKJOB_NATIVE'],
  packages: platformPackages,
  localBuild: fileURLToPath(new URL('../../../../.cache/native/current/flinkjob-rocksdb.node', import.meta.url)),
};

let found: Found | undefined;

/** The addon for this thread. Throws a `JobError` that says where it was looked for. */
export function loadNativeBinding(): NativeBinding {
  return load(places).binding;
}

/** The addon for this thread from where another thread has it: the threads of a process share its memory, which two copies would not. */
export function loadNativeBindingFrom(path: string): NativeBinding {
  return load({ ...places, explicitPath: path }).binding;
}

/** Of the addon of this thread, without symbolic links: they may lead to a newer build while the process runs. */
export function nativeBindingPath(): string {
  return load(places).path;
}

function load(from: NativePlaces): { readonly binding: NativeBinding; readonly path: string } {
  found ??= findNativeBinding(from);
  if ('tried' in found) {
    throw notAvailable(found.tried);
  }
  return found;
}

/** Whether `loadNativeBinding` would go well, and what it would load. */
export function nativeBindingAvailability(): NativeBindingAvailability {
  found ??= findNativeBinding(places);
  return 'tried' in found
    ? { state: 'Missing', tried: found.tried }
    : { state: 'Available', path: found.path, rocksdbVersion: found.binding.rocksdbVersion };
}

/** Exported for its test; the others know the places. */
export function findNativeBinding({ explicitPath, packages, localBuild }: NativePlaces): Found {
  const tried: TriedPlace[] = [];
  for (const place of explicitPath === undefined ? [...packages, localBuild] : [explicitPath]) {
    try {
      const path = require.resolve(place);
      return { binding: require(path) as NativeBinding, path };
    } catch (error) {
      tried.push({ place, reason: reasonOf(error) });
    }
  }
  return { tried };
}

/** A missing module's message goes on with the list of those that required it, which says nothing here. */
function reasonOf(error: unknown): string {
  const isMissing = error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND';
  const [firstLine = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
  return isMissing ? 'not there' : firstLine;
}

function notAvailable(tried: readonly TriedPlace[]): JobError {
  const list = tried.map(({ place, reason }) => `${place} (${reason})`).join(', ');
  return new JobError(`the RocksDB addon is in none of the places where it is looked for: ${list}`, {
    ...{ domain: 'user', retry: 'never', code: 'RocksDbNotAvailable' },
    remedy:
      'Use the state backend HashMap (state.backend: HashMap), or build the addon with `node hack/build-native.ts`, ' +
      'or name its file in the environment variable FLINKJOB_NATIVE.',
  });
}
