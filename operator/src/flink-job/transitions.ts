/**
 * The life of a FlinkJob as one table: every state, how long it may last, and every way out of it. The code can make no move that is not here (`move` does not
 * compile otherwise), a test walks until every row was reached, and `docs/lifecycle.md` is drawn from it.
 *
 * A state is a function of the status (`lifecycleState`): a deletion comes before a rollout, a rollout before how the job ended.
 */
interface StateRow {
  readonly about: string;
  /** When it is left at the latest, and by what; or why it may last. */
  readonly deadline: string;
  /** Event → where it leads. More than one state where what was before the rollout is there again. */
  readonly exits: Readonly<Record<string, readonly string[]>>;
}

const atRest = ['New', 'Steady', 'Suspended', 'Finished', 'Failed', 'Canceled', 'Stopped', 'Fenced', 'Refused'] as const;
const endings = ['Finished', 'Failed', 'Canceled', 'Stopped', 'Fenced', 'Refused', 'Suspended'] as const;
const lasts = 'none: it lasts until something happens';

export const lifecycle = {
  New: {
    about: 'Nothing was ever started.',
    deadline: 'none: left in the same pass, unless the spec cannot be used',
    exits: { Wanted: ['PreFlight'], NotWanted: ['Suspended'] },
  },
  PreFlight: {
    about:
      'A process of the new revision proves that it can start. What runs is not touched; what has never run, and holds the room for that process, is ended.',
    deadline: '2 min, in a cluster 10 for the image to be pulled, then Blocked',
    exits: {
      Passed: ['Stopping'],
      PassedWhileDown: ['Starting'],
      NotPassed: ['Blocked'],
      Rewind: ['PreFlight'],
      RollbackImpossible: ['Failed'],
      Superseded: atRest,
    },
  },
  Blocked: {
    about: 'The new revision cannot start. What ran before runs on.',
    deadline: 'from 5 s to 5 min, doubled with each try, then PreFlight',
    exits: { RetryDue: ['PreFlight'], NotStable: ['PreFlight'], Superseded: atRest },
  },
  Stopping: {
    about: 'The old revision is asked to stop, and kept alive until it has.',
    deadline: 'upgrade.stopTimeoutSeconds and 15 s for a savepoint, 10 s for a cancel; before, 30 s for the job to run',
    exits: {
      Receipt: ['Starting'],
      SuspendReceipt: ['Suspended', 'Finished'],
      StopFailed: ['StopFailed'],
      TakenOver: ['PreFlight'],
      SupersededWhileDown: ['PreFlight'],
      Superseded: atRest,
    },
  },
  StopFailed: {
    about: 'The stop with savepoint failed; the old revision runs on.',
    deadline: 'from 5 s to 5 min, doubled with each try, then Stopping',
    exits: { RetryDue: ['Stopping'], Superseded: atRest },
  },
  Starting: {
    about: 'The new revision has an attempt, and processes follow from it.',
    deadline: '5 min, then rolled back; with nothing to go back to it goes on trying, as Stalled',
    exits: {
      Running: ['Stabilizing'],
      NotStable: ['PreFlight'],
      FinishedEarlierStop: ['PreFlight'],
      HigherAttemptNeeded: ['Blocked'],
      Ended: endings,
      Superseded: atRest,
    },
  },
  Stabilizing: {
    about: 'The new revision runs, and has to complete checkpoints, with few restarts and without a growing lag.',
    deadline:
      'upgrade.rollback.deadlineSeconds, then rolled back; with nothing to go back to it runs on, as Stalled, until it is stable',
    exits: {
      Stable: ['Steady'],
      NotStable: ['PreFlight'],
      RollbackImpossible: ['Failed'],
      HigherAttemptNeeded: ['Blocked'],
      Ended: endings,
      Superseded: atRest,
    },
  },
  Steady: {
    about: 'What was wanted last has been reached. TaskManagers and JobManagers that are lost are replaced, without a rollout.',
    deadline: lasts,
    exits: { SpecChanged: ['PreFlight'], SuspendWanted: ['Stopping'], Ended: endings },
  },
  Suspended: {
    about: 'Stopped as spec.job.desiredState asks; the state is kept.',
    deadline: lasts,
    exits: { Wanted: ['PreFlight'] },
  },
  Finished: {
    about: 'The job has read all its input.',
    deadline: 'spec.ttlSecondsAfterFinished, then deleted; without it, it lasts',
    exits: { SpecChanged: ['PreFlight'] },
  },
  Failed: {
    about: 'The restart strategy gave up.',
    deadline:
      'from 5 s to 5 min, doubled with each failure, then PreFlight; with spec.recovery used up it waits for another spec',
    exits: { RecoveryDue: ['PreFlight'], SpecChanged: ['PreFlight'], NotWanted: ['Suspended'] },
  },
  Refused: {
    about: 'The JobManager may not open the lineage, or cannot run with its configuration.',
    deadline: 'none where a higher attempt may help: left in the same pass; else it waits for another spec',
    exits: { RecoveryDue: ['PreFlight'], SpecChanged: ['PreFlight'], NotWanted: ['Suspended'] },
  },
  Canceled: {
    about: 'Somebody cancelled the job, past its resource.',
    deadline: 'none: it waits for another spec',
    exits: { SpecChanged: ['PreFlight'], NotWanted: ['Suspended'] },
  },
  Stopped: {
    about: 'Somebody stopped the job with a savepoint, past its resource.',
    deadline: 'none: it waits for another spec',
    exits: { SpecChanged: ['PreFlight'], NotWanted: ['Suspended'] },
  },
  Fenced: {
    about: 'Somebody else runs this job on the same lineage.',
    deadline: 'none: it waits for another spec',
    exits: { SpecChanged: ['PreFlight'], NotWanted: ['Suspended'] },
  },
  Saving: {
    about: 'Being deleted, with checkpoints.onDelete Savepoint: the job is stopped with one.',
    deadline: 'checkpoints.deleteTimeoutSeconds, then Ending without a savepoint',
    exits: { SavepointTaken: ['Ending'], NoSavepoint: ['Ending'] },
  },
  Ending: {
    about: 'Being deleted: the processes are ended.',
    deadline: '1 min, then as if they were gone',
    exits: { PurgeWanted: ['Purging'], ProcessesGone: ['Gone'], ProcessesLeft: ['Gone'] },
  },
  Purging: {
    about: 'Being deleted, with checkpoints.onDelete Purge: a short process deletes the lineage.',
    deadline: 'checkpoints.deleteTimeoutSeconds, then Gone, and the event DataOrphaned names what is left',
    exits: { Purged: ['Gone'], NotPurged: ['Gone'] },
  },
  Gone: {
    about: 'The finalizer is removed. While others hold the resource by theirs, nothing more is done for it.',
    deadline: 'the end',
    exits: {},
  },
} as const satisfies Readonly<Record<string, StateRow>>;

/** From every state but those of a deletion. */
export const deletion = {
  from: [...atRest, 'PreFlight', 'Blocked', 'Stopping', 'StopFailed', 'Starting', 'Stabilizing'],
  exits: { Deleted: ['Ending'], DeletedWithSavepoint: ['Saving'] },
} as const satisfies { readonly from: readonly LifecycleState[]; readonly exits: Readonly<Record<string, readonly string[]>> };

export type LifecycleState = keyof typeof lifecycle;
export type RestState = (typeof atRest)[number];

type MoveFrom<S extends LifecycleState> = {
  [E in keyof (typeof lifecycle)[S]['exits']]: {
    readonly from: S;
    readonly event: E;
    readonly to: (typeof lifecycle)[S]['exits'][E] extends readonly (infer To)[] ? To : never;
  };
}[keyof (typeof lifecycle)[S]['exits']];

type DeletionMove = {
  [E in keyof typeof deletion.exits]: {
    readonly from: (typeof deletion.from)[number];
    readonly event: E;
    readonly to: (typeof deletion.exits)[E][number];
  };
}[keyof typeof deletion.exits];

/** A rollout gives way to another spec. */
interface SupersededMove {
  readonly from: { [S in LifecycleState]: 'Superseded' extends keyof (typeof lifecycle)[S]['exits'] ? S : never }[LifecycleState];
  readonly event: 'Superseded';
  readonly to: RestState;
}

/** One step along the table. Only rows of the table are of this type. */
export type Move = { [S in LifecycleState]: MoveFrom<S> }[LifecycleState] | SupersededMove | DeletionMove;

/** Whether the table has it; of moves that do not come from the compiler. */
export function isLegal({ from, event, to }: { readonly from: string; readonly event: string; readonly to: string }): boolean {
  const rows: Readonly<Record<string, StateRow>> = lifecycle;
  const deleting: readonly string[] = deletion.from;
  const exits: StateRow['exits'] = { ...rows[from]?.exits, ...(deleting.includes(from) ? deletion.exits : {}) };
  return exits[event]?.includes(to) === true;
}
