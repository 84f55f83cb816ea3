import { randomUUID } from 'node:crypto';
import { lstat, mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isOfSameBoot, type ProcessHolder, stateOfHolder } from './process-holder.ts';
import { removeTree } from './remove-tree.ts';

/**
 * A process's own directory below a local directory: `flinkjob-<uuid>/`, with a marker that says who holds it. Only what has a marker of
 * ours is ever removed; the marker goes last, so that a removal cut short can be finished.
 */
const namePrefix = 'flinkjob-';
/** Holds what the next process in this place may take over: directories that are complete and never changed, each on its own. */
const keptName = 'kept';
const markerName = 'holder.json';
const markerFormat = 'flinkjob working directory';
const markerVersion = 1;
const markerSizeBytesMax = 64 * 1024;

interface Marker {
  readonly format: typeof markerFormat;
  readonly version: number;
  readonly holder: ProcessHolder;
  /** For people. */
  readonly createdAt: string;
}

/** Nobody else may look into it: it holds the job's data. */
const directoryMode = 0o700;

export async function createProcessDirectory(localDirectory: string, holder: ProcessHolder): Promise<string> {
  const path = join(localDirectory, `${namePrefix}${randomUUID()}`);
  await mkdir(path, directoryMode);
  try {
    await writeMarker(path, { format: markerFormat, version: markerVersion, holder, createdAt: new Date().toISOString() });
    await mkdir(keptDirectory(path), directoryMode);
  } catch (error) {
    // Without a marker nobody would ever remove it.
    await removeTree(path).catch(() => undefined);
    throw error;
  }
  return path;
}

/** Complete or not there: half a marker would be nobody's. */
async function writeMarker(path: string, marker: Marker): Promise<void> {
  const temporary = join(path, `${markerName}.new`);
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(marker)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, join(path, markerName));
}

export function keptDirectory(processDirectory: string): string {
  return join(processDirectory, keptName);
}

export function removeProcessDirectory(path: string): Promise<void> {
  return removeTree(path, markerName);
}

/** All but what is kept; without that the whole directory. Gives whether it is still there. */
export async function removeWorkingState(path: string): Promise<boolean> {
  if ((await keptNames(path)).length === 0) {
    await removeProcessDirectory(path);
    return false;
  }
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.name === markerName || entry.name === keptName) {
      continue;
    }
    const child = join(path, entry.name);
    await (entry.isDirectory() ? removeTree(child) : unlink(child));
  }
  return true;
}

/**
 * Takes over what a dead process kept, and removes the rest of it. Others may do the same at the same time: a rename gives each directory to one
 * of them as a whole or with files missing, so whoever reads it looks whether all are there.
 */
export async function adoptKept(from: string, processDirectory: string): Promise<void> {
  try {
    for (const name of await keptNames(from)) {
      await rename(join(keptDirectory(from), name), join(keptDirectory(processDirectory), name)).catch(ignoreNotMoved);
    }
  } finally {
    await removeProcessDirectory(from);
  }
}

async function keptNames(processDirectory: string): Promise<readonly string[]> {
  const entries = await readdir(keptDirectory(processDirectory), { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

/** Somebody else has it, or we have one of that name: it only costs the time to fetch it. */
function ignoreNotMoved(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT' && error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') {
    throw error;
  }
}

export interface StaleRemoval {
  /** Of processes that have ended. */
  readonly removed: readonly string[];
  /** Of processes that have ended and kept something for whoever comes after them; nothing else is left in them. */
  readonly adoptable: readonly string[];
  /** Left as they are, though their process may have ended. */
  readonly kept: readonly { readonly path: string; readonly reason: string }[];
}

/**
 * Removes what processes that are certainly dead have left, but for what they kept. After a reboot that goes too: nobody made sure that it reached
 * the disk. What cannot be judged or removed is left and said, never a failure of ours.
 */
export async function removeStale(localDirectory: string, own: ProcessHolder): Promise<StaleRemoval> {
  const removed: string[] = [];
  const adoptable: string[] = [];
  const kept: { path: string; reason: string }[] = [];
  for (const entry of await readdir(localDirectory, { withFileTypes: true })) {
    if (!entry.isDirectory() || !entry.name.startsWith(namePrefix)) {
      continue;
    }
    const path = join(localDirectory, entry.name);
    try {
      const marker = await readMarker(path);
      if (marker === undefined) {
        continue;
      }
      const state = await stateOfHolder(marker.holder, own);
      if (state === 'Dead') {
        if (isOfSameBoot(marker.holder, own) && (await removeWorkingState(path))) {
          adoptable.push(path);
        } else {
          await removeProcessDirectory(path);
        }
        removed.push(path);
      } else if (state === 'Unknown') {
        kept.push({
          path,
          reason: `TaskManager ${marker.holder.taskManagerId} of another container held it, and whether that runs cannot be seen from here`,
        });
      }
    } catch (error) {
      kept.push({ path, reason: (error as Error).message });
    }
  }
  return { removed, adoptable, kept };
}

/** Undefined where there is none of ours: the directory is somebody else's, or its process is just writing it. */
async function readMarker(path: string): Promise<Marker | undefined> {
  const file = join(path, markerName);
  const info = await lstat(file).catch(() => undefined);
  if (!info?.isFile() || info.size > markerSizeBytesMax) {
    return undefined;
  }
  const marker = parse(await readFile(file, 'utf8'));
  if (marker?.format !== markerFormat) {
    return undefined;
  }
  if (marker.version !== markerVersion) {
    throw new Error(`its marker has version ${marker.version}, of which this runtime knows nothing`);
  }
  const { pid, startTime, taskManagerId } = (marker.holder ?? {}) as Partial<ProcessHolder>;
  if (typeof pid !== 'number' || typeof startTime !== 'string' || typeof taskManagerId !== 'string') {
    throw new Error('its marker does not say who holds it');
  }
  return marker as Marker;
}

function parse(text: string): Partial<Marker> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
