import { stat } from 'node:fs/promises';

/** How often the files are looked at. Asking works on every file system and with every editor, and a few files cost nothing. */
const pollIntervalMs = 250;

/**
 * Calls back at the start, and each time one of the files changed and then stayed as it was for one interval: an editor may write a
 * file in steps. The callback reads the files and says which to watch from then on; when that list is another one it is called again,
 * so that no save falls between reading and watching. Ends when the signal aborts.
 */
export async function watchFiles(
  files: readonly string[],
  onChange: () => Promise<readonly string[]>,
  signal: AbortSignal,
): Promise<void> {
  let watched = files;
  let settled: string | undefined;
  let latest = await fingerprint(watched);
  while (!signal.aborted) {
    const current = await fingerprint(watched);
    if (current !== settled && current === latest) {
      settled = current;
      const next = await onChange();
      if (next.join('\n') !== watched.join('\n')) {
        watched = next;
        settled = undefined;
        latest = await fingerprint(watched);
        continue;
      }
    }
    latest = current;
    await pause(pollIntervalMs, signal);
  }
}

async function fingerprint(files: readonly string[]): Promise<string> {
  const parts = await Promise.all(
    files.map(async (file) => {
      const found = await stat(file, { bigint: true }).catch(() => undefined);
      return found === undefined ? 'missing' : `${found.ino} ${found.size} ${found.mtimeNs}`;
    }),
  );
  return parts.join('\n');
}

/** Resolves after the time, or at once when the signal aborts. */
export async function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) {
    return;
  }
  await new Promise<void>((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, durationMs);
    signal.addEventListener('abort', end);
  });
}
