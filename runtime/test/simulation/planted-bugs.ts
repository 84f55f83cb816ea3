import { classifyCollision } from '../../src/core/lineage/append.ts';
import type { LineageRules } from '../../src/core/lineage/lineage-rules.ts';
import { manifestPath } from '../../src/core/lineage/object-paths.ts';
import type { LineageView } from '../../src/core/lineage/view.ts';
import { type EngineBug, simulatedRules } from './simulation.ts';
import { virtualStartMs } from './virtual-time.ts';

/** The list of the lineage protocol: each of these mistakes would break a promise, so the simulator must notice it. */
export const plantedBugNames = [
  'fence skipped',
  '412 taken for failure',
  'unknown outcome followed by clean-up',
  'manifest name without epoch',
  'delete without Condemned',
  'hash name reused after condemnation',
  'commit before Completed',
  'start from a remembered savepoint while Stopping is unfinished',
  'superseded pod opens again',
  'None honoured twice',
  'late acknowledgement of an older execution attempt accepted',
  'purge restarting numbers',
  'pin after read',
] as const;

export type PlantedBugName = (typeof plantedBugNames)[number];

export interface PlantedBug {
  readonly state: 'Planted';
  readonly rules: LineageRules;
  readonly engineBug?: EngineBug;
  /** The simulator must notice it within so many seeds from the first one on. */
  readonly seedCount: number;
  /** How it shows. */
  readonly violation: RegExp;
}

/** What it could break does not exist yet. */
export interface BugWithoutGround {
  readonly state: 'NotYet';
  readonly reason: string;
}

function planted(seedCount: number, violation: RegExp, wrong: Partial<LineageRules>): PlantedBug {
  return { state: 'Planted', rules: { ...simulatedRules, ...wrong }, seedCount, violation };
}

/** Decides as if the log had said something else. */
function misreading(misread: (view: LineageView) => LineageView): Partial<LineageRules> {
  return { decideOpen: (view, request) => simulatedRules.decideOpen(misread(view), request) };
}

export const plantedBugs: Readonly<Record<PlantedBugName, PlantedBug | BugWithoutGround>> = {
  'fence skipped': planted(100, /two writers|not completed|was opened after/, {
    fences: () => false,
    classifyCollision: (found, mine) => classifyCollision(found, { ...mine, epoch: undefined }),
  }),
  '412 taken for failure': planted(400, /given up|called failed|closed/, {
    afterPut: (facts) => (facts.outcome === 'Occupied' ? 'Fail' : simulatedRules.afterPut(facts)),
  }),
  'unknown outcome followed by clean-up': planted(400, /given up/, {
    afterPut: (facts) => (facts.outcome === 'Unknown' ? 'Fail' : simulatedRules.afterPut(facts)),
  }),
  'manifest name without epoch': planted(100, /named by nothing|missing or another/, {
    checkpointDirectory: (checkpoint) => simulatedRules.checkpointDirectory(checkpoint).replace(/-e\d+$/, ''),
  }),
  'delete without Condemned': planted(20, /never condemned/, {
    deletableCondemnations: (view) =>
      view.checkpoints.slice(0, -1).map(({ manifest }) => ({
        entryNumber: view.headNumber,
        names: [manifestPath(manifest.path.replace('/_metadata', ''))],
      })),
  }),
  'hash name reused after condemnation': planted(2000, /condemned/, {
    sharedFilePath: (file) => simulatedRules.sharedFilePath({ ...file, executionAttempt: 1, forgetRequest: 0 }),
  }),
  'commit before Completed': planted(400, /told to commit|no completed checkpoint holds it/, {
    afterPut: (facts) => (facts.outcome === 'Unknown' ? 'Appended' : simulatedRules.afterPut(facts)),
  }),
  'start from a remembered savepoint while Stopping is unfinished': planted(
    2000,
    /the newest completed is|should only have finished/,
    misreading((view) => {
      const savepoint = view.checkpoints.findLast(({ kind }) => kind === 'Savepoint');
      return view.stopping === undefined || savepoint === undefined ? view : { ...view, stopping: undefined, latest: savepoint };
    }),
  ),
  'superseded pod opens again': planted(
    200,
    /opened again after/,
    misreading((view) => ({ ...view, supersededPodUids: [] })),
  ),
  'None honoured twice': planted(
    200,
    /honoured twice/,
    misreading((view) => ({ ...view, honouredRestoreTokens: [] })),
  ),
  'late acknowledgement of an older execution attempt accepted': planted(
    2000,
    /committed output|no completed checkpoint holds it|did not finish/,
    { acceptsToken: () => true },
  ),
  'purge restarting numbers': planted(400, /the log says that it begins/, {
    trimmedEntries: (view, numbers) => (view.opened === undefined ? numbers : simulatedRules.trimmedEntries(view, numbers)),
  }),
  'pin after read': {
    state: 'NotYet',
    reason:
      'the simulated job restores from its own lineage alone; planted in savepoint-transfer/export-savepoint.test.ts it is found',
  },
};

/** Mistakes that the list does not name; some were ours. */
export const furtherBugs: Readonly<Record<string, PlantedBug>> = {
  'wrong file content under a known name': planted(2000, /its state of|is known with/, {
    isSameContent: (file, restored) => file.name === restored.name,
  }),
  'forget a timer': { ...planted(100, /with timers/, {}), engineBug: 'ForgetATimer' },
  'files condemned without asking who has them': planted(2000, /condemned/, {
    namesToAsk: () => [],
    condemnableNames: (candidates) => candidates,
  }),
  'a TaskManager forgets what it has': planted(2000, /condemned/, {
    forgettableNames: (names) => names,
  }),
  'no look at the head after an append': planted(2000, /told to commit|leaves a hole|two writers|did not finish/, {
    afterPut: (facts) => (facts.outcome === 'Created' ? 'Appended' : simulatedRules.afterPut(facts)),
  }),
  'grace period from when the entry began to be written': planted(1000, /before its grace period/, {
    deletableCondemnations: (view, options) =>
      simulatedRules.deletableCondemnations(view, {
        ...options,
        nowMs: options.nowMs + virtualStartMs,
        seenAtMs: new Map(view.condemnations.map(({ number, writtenAtMs }) => [number, writtenAtMs])),
      }),
  }),
  'sweep takes what a completed checkpoint names': planted(300, /condemned/, {
    orphans: (options) => simulatedRules.orphans({ ...options, referenced: new Set() }),
  }),
  'log trimmed beyond its newest Opened': planted(300, /was opened after|begins at/, {
    nextOldestNumber: (view) => Math.max(view.oldestNumber, view.headNumber - 2),
  }),
  'newest checkpoint condemned': planted(100, /newest checkpoint was condemned/, {
    subsumedCheckpoints: (view) => view.checkpoints.filter(({ kind }) => kind === 'Checkpoint'),
  }),
};
