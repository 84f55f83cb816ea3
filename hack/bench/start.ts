import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Measurement } from './repeated-measurement.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** A ranking as the print sink of the word-count example writes it. */
const firstCount = /\d+ words: [a-z]+ \d+/;

/**
 * What a newcomer waits for: `git clone`, `npm start`, the first count; then the same again with everything installed. Seconds. Measures what is
 * committed.
 */
export async function measureStart(): Promise<Measurement> {
  const clone = mkdtempSync(join(tmpdir(), 'flinkjob-bench-start-'));
  try {
    const cloned = spawnSync('git', ['clone', '--quiet', root, clone]);
    if (cloned.status !== 0) {
      throw new Error(`git clone failed: ${cloned.stderr.toString()}`);
    }
    const coldSeconds = await secondsToFirstCount(clone);
    const warmSeconds = await secondsToFirstCount(clone);
    return { coldSeconds, warmSeconds };
  } finally {
    rmSync(clone, { recursive: true, force: true });
  }
}

async function secondsToFirstCount(directory: string): Promise<number> {
  // Without node_modules/.bin of this checkout in PATH: the clone has to find its own Node.
  const PATH = (process.env['PATH'] ?? '')
    .split(':')
    .filter((entry) => !entry.includes('node_modules'))
    .join(':');
  const startedAt = performance.now();
  // Its own process group, so that Ctrl-C reaches all of it as it would from a terminal.
  const child = spawn('npm', ['start'], {
    cwd: directory,
    env: { ...process.env, PATH },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const seconds = await new Promise<number>((resolve, reject) => {
    let output = '';
    const look = (text: string): void => {
      output += text;
      if (firstCount.test(output)) {
        resolve((performance.now() - startedAt) / 1000);
      }
    };
    child.stdout.setEncoding('utf8').on('data', look);
    child.stderr.setEncoding('utf8').on('data', look);
    child.once('exit', (code) => reject(new Error(`npm start ended with ${code} before the first count:\n${output}`)));
  });
  await interrupt(child);
  return Math.round(seconds * 10) / 10;
}

function interrupt(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.removeAllListeners('exit');
    child.once('close', () => resolve());
    if (child.pid !== undefined) {
      process.kill(-child.pid, 'SIGINT');
    }
  });
}
