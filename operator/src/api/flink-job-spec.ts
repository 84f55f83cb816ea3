import { z } from 'zod';
import {
  checkRoleMounts,
  cpu,
  JobManagerResources,
  LocalStorage,
  PodTemplate,
  ResourceRequests,
  RolePodTemplate,
  roleMountRules,
} from './pod-template.ts';
import { sizePattern } from './quantity.ts';
import { SavepointSchedule } from './savepoint-schedule-spec.ts';
import { withoutUserInfo, withoutUserInfoRule } from './url-without-user-info.ts';

/**
 * `spec` of a FlinkJob: the one source of the TypeScript types, of the messages for people, and of the CustomResourceDefinition in
 * `crds/`. Every object is strict: an unknown field is an error, never ignored. What a change of a field means is in
 * `change-meanings.ts`, which has to name every leaf.
 *
 * Only what a structural schema can say: no unions of objects (a `type` field plus optional fields and CEL rules instead).
 */

const Job = z
  .strictObject({
    module: withoutUserInfo(z.string().min(1).max(1024)).meta({
      'x-kubernetes-validations': [withoutUserInfoRule],
      description:
        'Path of the job module, whose default export is defineJob(…). On Kubernetes in the image, or s3://bucket/path/job.js#sha256=<hex>: one file, brought by every process, held to the checksum if one is given. On the process platform relative to the YAML file.',
    }),
    args: z
      .record(z.string(), z.string())
      .default({})
      .meta({ description: 'Arguments for the job module. Every value is a string; put numbers in quotes.' }),
    parallelism: z
      .int()
      .min(1)
      .max(32768)
      .default(1)
      .meta({ description: 'How many subtasks each operator has unless the module says otherwise.' }),
    maxParallelism: z
      .int()
      .min(128)
      .max(32768)
      .default(128)
      .refine((value) => Number.isInteger(Math.log2(value)), { params: { expected: 'a power of two from 128 to 32768' } })
      .meta({ description: 'How many key groups keyed state is divided into: a power of two, fixed for the life of the state.' }),
    desiredState: z
      .enum(['Running', 'Suspended'])
      .default('Running')
      .meta({ description: 'Suspended stops the job with a savepoint and keeps its state; Running continues from it.' }),
  })
  .refine((job) => job.parallelism <= job.maxParallelism, {
    path: ['parallelism'],
    params: { expected: 'at most spec.job.maxParallelism' },
  })
  .meta({
    description: 'What runs, and whether it should.',
    'x-kubernetes-validations': [
      {
        rule: 'self.parallelism <= self.maxParallelism',
        message: 'spec.job.parallelism must be at most spec.job.maxParallelism',
      },
      {
        rule: '[128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768].exists(n, n == self.maxParallelism)',
        message: 'spec.job.maxParallelism must be a power of two',
      },
    ],
  });

const Rollback = z
  .strictObject({
    mode: z.enum(['Automatic', 'Manual']).default('Automatic').meta({
      description:
        'Automatic: a revision that is not stable in time is replaced by the last one that was. Manual: it is left as it is, and called Stalled.',
    }),
    // Two: the first may still profit from what was restored; the second shows that the revision can go on from its own.
    stableCheckpoints: z.int().min(1).max(100).default(2).meta({
      description:
        'A revision is stable once it has completed that many checkpoints since it runs, and nothing below speaks against it.',
    }),
    // Ten minutes: restoring and catching up may be slow, and a wrong rollback costs more than a late one.
    deadlineSeconds: z.int().min(1).max(604800).default(600).meta({
      description:
        'How long a revision may take from Running to stable, beside the time in which those checkpoints are due by their interval.',
    }),
    // Three: a lost node or two in the first minutes say nothing about the revision.
    maxRestarts: z.int().min(0).max(1000).default(3).meta({
      description: 'More automatic restarts than that before it is stable mean that it is not.',
    }),
    lag: z.enum(['NotGrowing', 'Ignore']).default('NotGrowing').meta({
      description:
        'NotGrowing: where sources know how many records they have not read, these may not be more than before the change and than when it began to run. Ignore: they do not count.',
    }),
    allowRewind: z.boolean().default(false).meta({
      description:
        'What happens when the last stable revision cannot read what the new one has completed. false: the job stops as Stalled. true: it goes back to the checkpoint before the change, and output committed since then is written again.',
    }),
  })
  .meta({ description: 'What becomes of a revision that starts and is not stable.' });

const Upgrade = z
  .strictObject({
    mode: z.enum(['Savepoint', 'LastState', 'Stateless']).default('Savepoint').meta({
      description:
        'Savepoint stops the job with a savepoint. LastState continues from the last completed checkpoint. Stateless starts the new revision with empty state.',
    }),
    stopTimeoutSeconds: z.int().min(1).max(86400).default(120).meta({
      description:
        'How long a stop with savepoint may take before it is given up; the job then runs on and the stop is tried again.',
    }),
    savepointFormat: z.enum(['Native', 'Canonical']).default('Native').meta({
      description:
        'Of the savepoint that a job is stopped with. Native: a name for files that are in storage anyway, whatever the size of the state. Canonical: typed rows that every state backend reads, written anew each time.',
    }),
    strategy: z
      .enum(['InPlace'])
      .default('InPlace')
      .meta({ description: 'InPlace stops the old revision, then starts the new one.' }),
    rollback: Rollback.prefault({}),
  })
  .meta({ description: 'How a running job is replaced when its spec changes.' });

const Restore = z
  .strictObject({
    from: z.enum(['Latest', 'None', 'Path']).default('Latest').meta({
      description:
        'What to start from. Latest: the head of the lineage. None: empty state, once. Path: the checkpoint or savepoint at `path`, once.',
    }),
    path: withoutUserInfo(z.string().min(1).max(1024))
      .optional()
      .meta({
        'x-kubernetes-validations': [withoutUserInfoRule],
        description:
          'With from Path: a checkpoint or savepoint. The folder of one of this lineage, such as chk-000117-e7; or the URL, file: or s3:, of one in another lineage or of an exported one, which is copied into this lineage first. A relative file: path counts from the YAML file.',
      }),
    token: z.string().min(1).max(253).optional().meta({
      description:
        'Names one request of from None or Path. A request is honoured once per lineage; another token asks again. Default: made from the request itself.',
    }),
    adopt: z
      .strictObject({
        from: z.string().min(1).meta({
          description: 'The present owner of the lineage, clusterId/namespace/name; valid only while the lineage names it.',
        }),
      })
      .optional()
      .meta({ description: 'Takes over a lineage that belongs to another cluster.' }),
    allowDroppedState: z.array(z.string().min(1)).max(256).default([]).meta({
      description:
        'What may be left behind because the job no longer has it: uid, uid.state for one state of an operator, uid.timers for its timers.',
      'x-kubernetes-list-type': 'set',
    }),
    allowNewState: z.array(z.string().min(1)).max(256).default([]).meta({
      description: 'uid.state: states that may start empty in an operator whose other state is restored.',
      'x-kubernetes-list-type': 'set',
    }),
  })
  .refine((restore) => restore.from !== 'Path' || restore.path !== undefined, {
    path: ['path'],
    params: {
      expected: 'a checkpoint folder, because spec.restore.from is Path',
      remedy: 'Add spec.restore.path, such as chk-000117-e7 (flinkjob lineage lists them).',
    },
  })
  .refine((restore) => restore.from === 'Path' || restore.path === undefined, {
    path: ['path'],
    params: {
      expected: 'no path unless spec.restore.from is Path',
      remedy: 'Set spec.restore.from to Path, or remove spec.restore.path.',
    },
  })
  .meta({
    description: 'What a start restores. Whatever is written here, a job with state never starts empty unless from is None.',
    'x-kubernetes-validations': [
      {
        // `has`, although `from` has a default: the API server also checks the default of `restore` itself, `{}`, in which no other is filled in yet.
        rule: "(has(self.from) && self.from == 'Path') == has(self.path)",
        message: 'spec.restore.path goes with spec.restore.from: Path, and only with it',
      },
    ],
  });

/**
 * The names in a bucket's prefix consist of what every object's path may consist of. A directory is on this machine: no host, and nothing like a query, in which people would put
 * credentials.
 */
export const checkpointStorageUrl =
  /^(file:(\/\/\/|\/[^/]|[^/?#])[^?#\n]*|s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[A-Za-z0-9_][A-Za-z0-9_.@=+-]*)*\/?)$/;

/** Where a savepoint may be: wherever somebody has put it. */
export const savepointUrl = /^(file:(\/\/\/|\/[^/]|[^/?#])[^?#\n]*|s3:\/\/[^/?#@]+\/[^?#\n]+)$/;

const State = z
  .strictObject({
    backend: z.enum(['HashMap', 'RocksDB']).default('HashMap').meta({
      description:
        'Where working state lives. HashMap: on the heap of the TaskManagers; each checkpoint writes all of it. RocksDB: on their local disks, for state larger than memory; each checkpoint writes what is new.',
    }),
    checkpointStorage: z.string().regex(checkpointStorageUrl).meta({
      description:
        'URL of the folder that holds the lineages of jobs: s3://bucket/prefix (credentials and endpoint come from the environment, docs/checkpoint-storage.md) or file:///directory. On the process platform a relative file: path counts from the YAML file.',
    }),
    localStorage: LocalStorage.optional(),
  })
  .meta({ description: 'Where state lives and where it is kept safe.' });

const Checkpoints = z
  .strictObject({
    // Ten seconds: short enough that a restart repeats little, long enough that small jobs spend nothing on it. A fraction, against the
    // habit of Kubernetes APIs, because sub-second checkpoints are an ordinary wish and the unit stays the same everywhere.
    intervalSeconds: z
      .number()
      .min(0.1)
      .max(86400)
      .default(10)
      .meta({ description: 'From the start of one checkpoint to the start of the next.' }),
    timeoutSeconds: z.int().min(1).max(86400).default(600).meta({ description: 'A checkpoint that takes longer is aborted.' }),
    minPauseSeconds: z.number().min(0).max(86400).default(0).meta({
      description:
        'From the end of one checkpoint, also one that failed, to the start of the next periodic one. Savepoints and stops do not wait.',
    }),
    // Three: a storage that does not answer for a moment should cost no restart, and one that does not answer at all should be noticed.
    tolerableFailedCheckpoints: z
      .int()
      .min(0)
      .max(1000)
      .default(3)
      .meta({ description: 'How many checkpoints in a row may fail before the tasks start anew.' }),
    retain: z.int().min(1).max(100).default(3).meta({ description: 'How many completed checkpoints stay restorable.' }),
    mode: z.enum(['ExactlyOnce', 'AtLeastOnce']).default('ExactlyOnce').meta({
      description:
        'How often a record counts in state after a failure. ExactlyOnce: a subtask waits for the barriers of all its inputs. AtLeastOnce: no input waits for another, and records that were read in between count twice after a failure; savepoints are exact all the same.',
    }),
    onDelete: z.enum(['Savepoint', 'Retain', 'Purge']).default('Retain').meta({
      description:
        'What deleting the FlinkJob does with its lineage in checkpoint storage. Retain: nothing; a FlinkJob of this name continues from it. Savepoint: as Retain, after the job was stopped with a savepoint, which stays until it is released. Purge: every checkpoint and every savepoint in the lineage is deleted, also savepoints that nobody released; what was exported elsewhere stays. A FlinkJob of this name then starts empty.',
    }),
    // Five minutes: more than a savepoint or a purge takes unless something is broken, and less than people wait before they remove a finalizer by hand.
    deleteTimeoutSeconds: z.int().min(1).max(86400).default(300).meta({
      description:
        'How long the savepoint or the purge of a deletion may take. Past it the resource goes all the same, and an event says what was not done. Ending the processes takes up to a minute more.',
    }),
  })
  .meta({ description: 'When state is made durable.' });

const TaskManager = z
  .strictObject({
    slots: z
      .int()
      .min(1)
      .max(256)
      .default(1)
      .meta({ description: 'Slots of one TaskManager; a slot runs one subtask of every operator.' }),
    replicas: z
      .int()
      .min(1)
      .max(10000)
      .optional()
      .meta({ description: 'How many TaskManagers, without spare ones. Default: as many as the parallelism needs.' }),
    spare: z.int().min(0).max(1000).default(0).meta({
      description:
        'TaskManagers beyond those, which wait without work: when one is lost, the job goes on there at once, and the lost one is replaced meanwhile.',
    }),
    resources: z
      .strictObject({
        requests: ResourceRequests.optional().meta({ description: 'What a pod is sure to get.' }),
        limits: z
          .strictObject({
            cpu: cpu('Default: none.'),
            memory: z.string().regex(sizePattern).optional().meta({
              description:
                'All memory of one TaskManager: heaps, RocksDB and record pages share it, and it is refused when they cannot fit. Default: 2Gi.',
            }),
          })
          .prefault({})
          .meta({ description: 'Upper limits.' }),
      })
      .prefault({})
      .meta({ description: 'What one TaskManager may use.' }),
    podTemplate: RolePodTemplate.optional().meta({ description: 'On top of spec.podTemplate, for TaskManagers.' }),
  })
  .meta({ description: 'The processes that run the subtasks.' });

/** For rules of the API server, where nothing has filled in what a FlinkJob does not say: its namespace may. */
const restartType = "(has(self.type) ? self.type : 'ExponentialDelay')";

const RestartStrategy = z
  .strictObject({
    type: z
      .enum(['None', 'FixedDelay', 'ExponentialDelay', 'FailureRate'])
      .default('ExponentialDelay')
      .meta({ description: 'What happens when a subtask fails. The fields below apply to the type that names them.' }),
    attempts: z
      .int()
      .min(0)
      .max(1000000)
      .optional()
      .meta({ description: 'FixedDelay: restarts before the job fails. Default 10.' }),
    delaySeconds: z
      .number()
      .min(0)
      .max(86400)
      .optional()
      .meta({ description: 'FixedDelay and FailureRate: wait before each restart. Default 1.' }),
    initialDelaySeconds: z
      .number()
      .min(0)
      .max(86400)
      .optional()
      .meta({ description: 'ExponentialDelay: wait before the first restart; none when a TaskManager was lost. Default 1.' }),
    maxDelaySeconds: z
      .number()
      .min(0)
      .max(86400)
      .optional()
      .meta({ description: 'ExponentialDelay: the longest wait. Default 60.' }),
    multiplier: z.int().min(1).max(100).optional().meta({ description: 'ExponentialDelay: growth of the wait. Default 2.' }),
    jitterPercent: z.int().min(0).max(100).optional().meta({
      description: 'ExponentialDelay: how far a wait may be from that, so that jobs do not come back all at once. Default 10.',
    }),
    resetAfterSeconds: z
      .int()
      .min(0)
      .max(86400)
      .optional()
      .meta({ description: 'ExponentialDelay: a run this long without failure starts the waits anew. Default 600.' }),
    maxFailuresPerInterval: z
      .int()
      .min(0)
      .max(1000)
      .optional()
      .meta({ description: 'FailureRate: the job fails on more failures than that within the interval. Default 1.' }),
    intervalSeconds: z
      .int()
      .min(1)
      .max(86400)
      .optional()
      .meta({ description: 'FailureRate: the interval in which failures are counted. Default 60.' }),
  })
  .refine((it) => it.type === 'FixedDelay' || it.attempts === undefined, {
    path: ['type'],
    params: {
      expected: 'FixedDelay, because attempts is set',
      remedy: 'Set type to FixedDelay, or remove attempts.',
    },
  })
  .refine((it) => it.type === 'FixedDelay' || it.type === 'FailureRate' || it.delaySeconds === undefined, {
    path: ['type'],
    params: {
      expected: 'FixedDelay or FailureRate, because delaySeconds is set',
      remedy: 'Set type to FixedDelay or FailureRate, or remove delaySeconds.',
    },
  })
  .refine((it) => it.type === 'FailureRate' || (it.maxFailuresPerInterval === undefined && it.intervalSeconds === undefined), {
    path: ['type'],
    params: {
      expected: 'FailureRate, because maxFailuresPerInterval or intervalSeconds is set',
      remedy: 'Set type to FailureRate, or remove maxFailuresPerInterval and intervalSeconds.',
    },
  })
  .refine(
    (it) =>
      it.type === 'ExponentialDelay' ||
      (it.initialDelaySeconds === undefined &&
        it.maxDelaySeconds === undefined &&
        it.multiplier === undefined &&
        it.jitterPercent === undefined &&
        it.resetAfterSeconds === undefined),
    {
      path: ['type'],
      params: {
        expected: 'ExponentialDelay, because one of its fields is set',
        remedy:
          'Set type to ExponentialDelay, or remove initialDelaySeconds, maxDelaySeconds, multiplier, jitterPercent and resetAfterSeconds.',
      },
    },
  )
  .refine((it) => (it.initialDelaySeconds ?? 0) <= (it.maxDelaySeconds ?? Number.POSITIVE_INFINITY), {
    path: ['maxDelaySeconds'],
    params: {
      expected: 'at least initialDelaySeconds',
      remedy: 'Raise maxDelaySeconds, or lower initialDelaySeconds.',
    },
  })
  .meta({
    description: 'What happens when a subtask fails.',
    'x-kubernetes-validations': [
      {
        rule: `${restartType} == 'FixedDelay' || !has(self.attempts)`,
        message: 'attempts goes with type FixedDelay',
      },
      {
        rule: `${restartType} == 'FixedDelay' || ${restartType} == 'FailureRate' || !has(self.delaySeconds)`,
        message: 'delaySeconds goes with type FixedDelay or FailureRate',
      },
      {
        rule: `${restartType} == 'FailureRate' || (!has(self.maxFailuresPerInterval) && !has(self.intervalSeconds))`,
        message: 'maxFailuresPerInterval and intervalSeconds go with type FailureRate',
      },
      {
        rule: `${restartType} == 'ExponentialDelay' || (!has(self.initialDelaySeconds) && !has(self.maxDelaySeconds) && !has(self.multiplier) && !has(self.jitterPercent) && !has(self.resetAfterSeconds))`,
        message:
          'initialDelaySeconds, maxDelaySeconds, multiplier, jitterPercent and resetAfterSeconds go with type ExponentialDelay',
      },
    ],
  });

const Recovery = z
  .strictObject({
    // Three in an hour: what heals by itself has healed by then, and the fourth is a matter for people.
    restarts: z.int().min(0).max(100).default(3).meta({
      description:
        'How often a job that has failed (restartStrategy gave up) is started anew within the window, each time after a longer pause. One failure more, and it stays Failed until its spec changes.',
    }),
    windowSeconds: z.int().min(60).max(604800).default(3600).meta({ description: 'The time in which failures are counted.' }),
  })
  .meta({ description: 'What happens when a job has failed for good.' });

const JobManager = z
  .strictObject({
    restPort: z.int().min(0).max(65535).optional().meta({
      description:
        'Port of REST. Default on the process platform: the system chooses one, so several jobs and a replacement never collide. On Kubernetes: 8081.',
    }),
    resources: JobManagerResources.optional().meta({ description: 'What the JobManager may use; pre-flight and purge too.' }),
    podTemplate: RolePodTemplate.optional().meta({ description: 'On top of spec.podTemplate, for the JobManager.' }),
  })
  .meta({ description: 'The process that coordinates the job.' });

export const FlinkJobSpec = z
  .strictObject({
    engine: z.enum(['TypeScript']).default('TypeScript').meta({ description: 'Which engine runs the job.' }),
    image: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'Container image with the job module. Needed on Kubernetes, ignored by the process platform.' }),
    job: Job,
    upgrade: Upgrade.prefault({}),
    restore: Restore.prefault({}),
    state: State,
    checkpoints: Checkpoints.prefault({}),
    savepoints: SavepointSchedule.optional(),
    jobManager: JobManager.default({}),
    taskManager: TaskManager.prefault({}),
    podTemplate: PodTemplate.optional().meta({ description: 'What all pods of the job have on Kubernetes.' }),
    restartStrategy: RestartStrategy.prefault({}),
    recovery: Recovery.prefault({}),
    restartNonce: z.int().min(0).max(2147483647).optional().meta({
      description:
        'Another number stops the job as upgrade.mode says and starts it again, with everything else as it was. It also tries a revision again that was rolled back.',
    }),
    ttlSecondsAfterFinished: z.int().min(0).max(31536000).optional().meta({
      description:
        'How long the FlinkJob stays after the job has read all its input; then it is deleted, as checkpoints.onDelete says; not while the spec cannot be used. Default: for ever.',
    }),
    revisionHistoryLimit: z
      .int()
      .min(0)
      .max(100)
      .default(10)
      .meta({ description: 'How many revisions that ran before are kept, as ControllerRevisions, to go back to.' }),
  })
  .superRefine(checkRoleMounts)
  .meta({ 'x-kubernetes-validations': roleMountRules });

export type FlinkJobSpec = z.infer<typeof FlinkJobSpec>;
/** As people write it: defaults may be missing. */
export type FlinkJobSpecInput = z.input<typeof FlinkJobSpec>;
