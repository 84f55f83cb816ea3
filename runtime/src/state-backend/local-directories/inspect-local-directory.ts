import { readFile, stat, statfs } from 'node:fs/promises';
import { JobError } from '../../core/job-error.ts';
import { type DiskProbe, probeDisk } from './disk-probe.ts';
import { judgeFileSystem } from './file-system-suitability.ts';
import { type Mount, mountOf, parseMountInfo } from './mount-table.ts';

export interface LocalDirectoryFacts {
  /** Without symbolic links. */
  readonly path: string;
  /** Undefined where the system does not tell. */
  readonly mount: Mount | undefined;
  readonly freeSizeBytes: number;
  readonly probe: DiskProbe;
  /** Each a sentence that names the directory. */
  readonly warnings: readonly string[];
}

/** A disk that has not answered a probe by then hangs, and would hang the job too. */
const probeTimeMaxMs = 20_000;
/** Below it a compaction of a few hundred MB takes longer than a checkpoint interval should. */
const slowWriteMegabytesPerSecond = 40;

/** `text` instead of what the system says. Undefined where nothing can be known. */
export async function readMounts(text: string | undefined): Promise<readonly Mount[] | undefined> {
  try {
    return parseMountInfo(text ?? (await readFile('/proc/self/mountinfo', 'utf8')));
  } catch {
    // Not Linux, or no /proc: said with the directory's facts.
    return undefined;
  }
}

/** Looks at the path alone and touches nothing: a network mount whose server is gone would hang. */
export function refuseRemote(path: string, mounts: readonly Mount[] | undefined): void {
  const mount = mounts && mountOf(path, mounts);
  const suitability = mount && judgeFileSystem(mount.fileSystem);
  if (suitability?.verdict === 'Refused') {
    throw new JobError(
      `the local directory ${path} cannot hold working state: ${suitability.reason}. ${mount?.source} is mounted on ${mount?.mountPoint}`,
      {
        domain: 'user',
        retry: 'never',
        code: 'LocalDirectoryNotLocal',
        remedy:
          'Name a directory on a disk of the node, such as an emptyDir or a local volume. Checkpoints may lie on remote storage, working state may not.',
      },
    );
  }
}

export async function inspectLocalDirectory(options: {
  readonly path: string;
  /** Where to probe; below `path`. */
  readonly processDirectory: string;
  readonly mounts: readonly Mount[] | undefined;
  /** By device: directories on one device share one probe. */
  readonly probes: Map<number, Promise<DiskProbe>>;
}): Promise<LocalDirectoryFacts> {
  const { path, processDirectory, mounts, probes } = options;
  const mount = mounts && mountOf(path, mounts);
  const { dev } = await stat(processDirectory);
  const pending = probes.get(dev) ?? answeredInTime(path, probeDisk(processDirectory));
  probes.set(dev, pending);
  const probe = await pending;
  const { bavail, bsize } = await statfs(processDirectory);
  return { path, mount, freeSizeBytes: bavail * bsize, probe, warnings: warningsOf(path, mount, probe) };
}

function warningsOf(path: string, mount: Mount | undefined, probe: DiskProbe): readonly string[] {
  const warnings: string[] = [];
  if (mount === undefined) {
    warnings.push(`What file system ${path} is on cannot be found out here; make sure that it is a local disk.`);
  } else {
    const suitability = judgeFileSystem(mount.fileSystem);
    if (suitability.verdict === 'Doubtful') {
      warnings.push(`${path} is on ${mount.fileSystem}: ${suitability.reason}.`);
    }
  }
  if (probe.writeMegabytesPerSecond < slowWriteMegabytesPerSecond) {
    const rate = probe.writeMegabytesPerSecond.toPrecision(2);
    warnings.push(`${path} takes ${rate} MB/s: state that does not fit into memory will be slow.`);
  }
  if (!probe.hardLinks) {
    warnings.push(`${path} has no hard links: a checkpoint copies every file.`);
  }
  return warnings;
}

async function answeredInTime(path: string, probe: Promise<DiskProbe>): Promise<DiskProbe> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new JobError(`the disk of the local directory ${path} did not answer within ${probeTimeMaxMs / 1000} s`, {
          domain: 'external',
          retry: 'backoff',
          code: 'LocalDirectoryUnusable',
          remedy: 'Look at the disk (the kernel log names one that fails), or name another directory in localDirectories.',
        }),
      );
    }, probeTimeMaxMs);
  });
  try {
    return await Promise.race([probe, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
