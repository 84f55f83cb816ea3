import { rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { s3Error } from '../../runtime/test/fakes/faulty-proxy.ts';
import { announce } from '../bench/announce.ts';
import { parallelism } from './fault-cluster.ts';
import { changeBytes, type FaultScene } from './fault-scene.ts';
import { SmallDisk, whyNoSmallDisk } from './small-disk.ts';

export interface Scenario {
  readonly name: string;
  readonly about: string;
  /** With all of the state that was asked for. */
  readonly isLarge?: boolean;
  /** Why it cannot be played here; false where it can. */
  readonly whyNot?: string | false;
  /** Before anything of the job runs; what it gives is disposed of when all is over. */
  readonly prepare?: (scene: FaultScene) => AsyncDisposable;
  /** The job runs, its state is full. Leaves it so that it can go on, and says what was seen. */
  readonly play: (scene: FaultScene) => Promise<string>;
  /** An older checkpoint is asked for. */
  readonly mayRepeat?: boolean;
}

export const scenarios: readonly Scenario[] = [
  { name: 'kills', about: 'kill -9 of TaskManagers, the JobManager and both, at any moment', isLarge: true, play: playKills },
  { name: 'server-away', about: 'the S3 server is killed and comes back', play: playServerAway },
  { name: 'storm', about: 'one request in five is answered with 503', play: playStorm },
  { name: 'slow', about: 'every answer takes seconds', play: playSlow },
  { name: 'credentials', about: 'a JobManager, then TaskManagers, start with a wrong secret key', play: playCredentials },
  {
    ...{ name: 'disk-full', about: 'the local disk of a TaskManager fills up', whyNot: whyNoSmallDisk },
    prepare: (scene) => new SmallDisk(scene.cluster.localDirectory(0), 4 * scene.stateMebibytes + 128),
    play: playDiskFull,
  },
  {
    ...{ name: 'file-changed', about: 'bytes of a state file of the newest checkpoint change in the bucket', mayRepeat: true },
    play: (scene) => playDamage(scene, changeBytes),
  },
  {
    ...{ name: 'file-deleted', about: 'a state file of the newest checkpoint is deleted from the bucket', mayRepeat: true },
    play: (scene) => playDamage(scene, (file) => rmSync(file)),
  },
];

async function playKills({ cluster, random, settings }: FaultScene): Promise<string> {
  const victims = ['TaskManager', 'JobManager', 'Both'] as const;
  const recoveryMs: number[] = [];
  let inCheckpoint = 0;
  for (let kill = 0; kill < settings.kills; kill++) {
    // Every second one while a checkpoint is in progress, the others whenever they happen.
    await (kill % 2 === 0
      ? cluster.until('a checkpoint is in progress', async () => {
          const status = await cluster.status();
          return (status?.checkpointCounts.inProgress ?? 0) > 0 ? true : undefined;
        })
      : delay(random.next() * 1500 * settings.checkpointIntervalSeconds));
    inCheckpoint += ((await cluster.status())?.checkpointCounts.inProgress ?? 0) > 0 ? 1 : 0;
    const victim = victims[kill % victims.length];
    const index = random.below(parallelism);
    const killedAtMs = performance.now();
    await Promise.all([
      victim === 'JobManager' ? undefined : cluster.killTaskManager(index),
      victim === 'TaskManager' ? undefined : cluster.killJobManager(),
    ]);
    await (victim === 'JobManager' ? undefined : cluster.startTaskManager(index));
    await (victim === 'TaskManager' ? undefined : cluster.startJobManager());
    if (kill % 4 === 2 && kill + 1 < settings.kills) {
      // The next one strikes while this one is being recovered from.
      continue;
    }
    await cluster.checkpointed();
    recoveryMs.push(performance.now() - killedAtMs);
    announce(`kills: ${kill + 1} of ${settings.kills}, the last one of ${victim}`);
  }
  const seconds = recoveryMs.toSorted((a, b) => a - b).map((ms) => (ms / 1000).toFixed(1));
  const median = seconds[seconds.length >> 1];
  return `${settings.kills} kills, ${inCheckpoint} of them in a checkpoint; from a kill to the next complete checkpoint ${median} s (median), at most ${seconds.at(-1)} s`;
}

async function playServerAway({ cluster, storage, settings }: FaultScene): Promise<string> {
  const before = await cluster.runs();
  await storage.server.stop();
  try {
    await delay(settings.faultSeconds * 1000);
  } finally {
    await storage.server.start();
  }
  return await goneOn({ cluster, before, what: `away for ${settings.faultSeconds} s` });
}

async function playStorm({ cluster, storage, settings, random }: FaultScene): Promise<string> {
  const before = await cluster.runs();
  let requests = 0;
  let refused = 0;
  storage.proxy.weather = () => {
    requests += 1;
    if (!random.chance(0.2)) {
      return undefined;
    }
    refused += 1;
    return { type: 'Answer', status: 503, body: s3Error('SlowDown', 'Please reduce your request rate.') };
  };
  await delay(settings.faultSeconds * 2_000);
  await cluster.until('a request was refused', async () => (refused > 0 ? true : undefined));
  const after = await cluster.checkpointed();
  storage.proxy.weather = undefined;
  const completed = after.checkpointCounts.completed - before.checkpointCounts.completed;
  const what = `${refused} of ${requests} requests refused in ${settings.faultSeconds * 2} s, ${completed} checkpoints completed meanwhile`;
  return await goneOn({ cluster, before, what });
}

async function playSlow({ cluster, storage, settings, random }: FaultScene): Promise<string> {
  const [fromSeconds, toSeconds] = settings.slowSeconds;
  const before = await cluster.runs();
  storage.proxy.weather = () => ({
    type: 'Delay',
    delayMs: (fromSeconds + random.next() * (toSeconds - fromSeconds)) * 1000,
  });
  await delay(settings.faultSeconds * 1000);
  const during = await cluster.checkpointed();
  storage.proxy.weather = undefined;
  const checkpoint = during.lastCheckpoint;
  const tookSeconds = checkpoint === undefined ? 0 : (checkpoint.completedAtMs - checkpoint.triggeredAtMs) / 1000;
  const what = `answers after ${fromSeconds} to ${toSeconds} s, a checkpoint then took ${tookSeconds.toFixed(1)} s`;
  return await goneOn({ cluster, before, what });
}

/** A storage that is not well for a while is no reason to touch the tasks. */
async function goneOn(options: {
  readonly cluster: FaultScene['cluster'];
  readonly before: Awaited<ReturnType<FaultScene['cluster']['runs']>>;
  readonly what: string;
}): Promise<string> {
  const { cluster, before, what } = options;
  const after = await cluster.checkpointed();
  if (after.epoch !== before.epoch) {
    throw new Error(`another JobManager took over: epoch ${before.epoch} became ${after.epoch}`);
  }
  const restarts = after.restarts - before.restarts;
  const failed = after.checkpointCounts.failed - before.checkpointCounts.failed;
  return `${what}; ${failed} checkpoints failed, ${restarts} restarts`;
}

const wrongCredentials = { AWS_SECRET_ACCESS_KEY: 'not-the-secret' };

async function playCredentials({ cluster }: FaultScene): Promise<string> {
  await cluster.killAll();
  await cluster.startJobManager(wrongCredentials);
  await cluster.startTaskManagers();
  const ofJobManager = await named(cluster, /secret key does not fit/);
  await cluster.killJobManager();
  await cluster.startJobManager();
  await cluster.checkpointed();

  await cluster.killAll();
  // What they would restore has to come from the bucket.
  await cluster.emptyLocalDirectories();
  await cluster.startJobManager();
  await cluster.startTaskManagers(wrongCredentials);
  const ofTaskManager = await named(cluster, /secret key does not fit/);
  await Promise.all([cluster.killTaskManager(0), cluster.killTaskManager(1)]);
  await cluster.startTaskManagers();
  await cluster.checkpointed();
  return `JobManager: ${ofJobManager.code}, TaskManager: ${ofTaskManager.code}`;
}

async function playDiskFull({ cluster }: FaultScene): Promise<string> {
  await using filler = SmallDisk.fill(cluster.localDirectory(0));
  const failure = await named(cluster, /LocalDiskFull|LocalDirectoryUnusable/);
  filler.remove();
  await cluster.checkpointed();
  return `${failure.code}: ${failure.message.split('\n')[0]}`;
}

async function playDamage(scene: FaultScene, damage: (file: string) => void): Promise<string> {
  const { cluster } = scene;
  // A file that only the newest one names, so that the one before is whole.
  const found = await cluster.until('a checkpoint with a file of its own', async () => {
    if (scene.newStateFile() === undefined) {
      return undefined;
    }
    // It is the newest only when nobody makes another one.
    await cluster.killAll();
    const file = scene.newStateFile();
    if (file === undefined) {
      await cluster.startAll();
      await cluster.checkpointed();
    }
    return file;
  });
  const { file, name, previousCheckpoint } = found;
  const committed = scene.latestCommitted();
  damage(file);
  await cluster.emptyLocalDirectories();
  await cluster.startAll();
  const fileName = name.slice(name.lastIndexOf('/') + 1);
  const failure = await named(cluster, new RegExp(fileName.replaceAll('.', '\\.')));
  if (!['CheckpointDamaged', 'StateFileDamaged'].includes(failure.code)) {
    throw new Error(`a damaged file is called ${failure.code}: ${failure.message}`);
  }
  await cluster.until('the job has given up', async () => {
    const state = (await cluster.status())?.state;
    return state === 'Failed' || state === 'Refused' ? true : undefined;
  });
  await cluster.killAll();
  cluster.restoreFrom(previousCheckpoint);
  await cluster.startAll();
  const status = await cluster.checkpointed();
  if (status.restored?.path?.startsWith(previousCheckpoint) !== true) {
    throw new Error(`the job went on from ${status.restored?.path} and not from ${previousCheckpoint}`);
  }
  // Until then there are lines of records that this life of the job has not come to yet.
  await cluster.until('the job has caught up with what was committed before', async () =>
    scene.latestCommitted() > committed ? true : undefined,
  );
  return `${failure.code} names ${fileName}; goes on from ${previousCheckpoint} when that is asked for`;
}

/** The first failure that says so, now or in the job's history. */
async function named(cluster: FaultScene['cluster'], says: RegExp): Promise<{ readonly code: string; readonly message: string }> {
  return await cluster.until(`a failure that says ${says}`, async () =>
    (await cluster.failures()).find(({ code, message }) => says.test(`${code} ${message}`)),
  );
}
