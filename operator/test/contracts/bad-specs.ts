import type { BadSpec } from './bad-spec.ts';

/** Somebody's mistakes and what they are told: docs/bad-specs.md is made of this table, and both columns are held against the truth by tests. */
export const badSpecs: readonly BadSpec[] = [
  {
    what: 'no spec at all',
    set: { spec: undefined },
    server: 'spec: Required value',
    controller: [['spec: expected a map of fields, got nothing', 'Add spec.']],
  },
  {
    what: 'no job',
    set: { 'spec.job': undefined },
    server: 'spec.job: Required value',
    controller: [['spec.job: expected a map of fields, got nothing', 'Add spec.job.']],
  },
  {
    what: 'no module',
    set: { 'spec.job.module': undefined },
    server: 'spec.job.module: Required value',
    controller: [['spec.job.module: expected a non-empty string, got nothing', 'Add spec.job.module.']],
  },
  {
    what: 'an empty module',
    set: { 'spec.job.module': '' },
    server: 'spec.job.module: Invalid value: "": spec.job.module in body should be at least 1 chars long',
    controller: [['spec.job.module: expected a non-empty string, got ""', 'Correct spec.job.module.']],
  },
  {
    what: 'no state',
    set: { 'spec.state': undefined },
    server: 'spec.state: Required value',
    controller: [['spec.state: expected a map of fields, got nothing', 'Add spec.state.']],
  },
  {
    what: 'no checkpoint storage',
    set: { 'spec.state.checkpointStorage': undefined },
    server: 'spec.state.checkpointStorage: Required value',
    controller: [
      [
        'spec.state.checkpointStorage: expected a URL such as s3://bucket/prefix or file:///directory, got nothing',
        'Add spec.state.checkpointStorage.',
      ],
    ],
  },
  {
    what: 'no image',
    set: { 'spec.image': undefined },
    server: 'spec.image: Required value: is needed in a cluster: name the image that holds the job module',
    controller: [],
  },
  {
    what: 'an empty image',
    set: { 'spec.image': '' },
    server: 'spec.image: Invalid value: "": spec.image in body should be at least 1 chars long',
    controller: [['spec.image: expected a non-empty string, got ""', 'Correct spec.image.']],
  },
  {
    what: 'a word for a number',
    set: { 'spec.job.parallelism': 'four' },
    server:
      'spec.job.parallelism: Invalid value: "string": spec.job.parallelism in body must be of type integer: "string", .spec.job.parallelism: Invalid value: 0: .spec.job.parallelism accessor error: four is of the type string, expected int64',
    controller: [
      [
        'spec.job.parallelism: expected an integer from 1 to 32768, got "four"',
        'Correct it, or remove the line to get the default 1.',
      ],
    ],
  },
  {
    what: 'a number in quotes',
    set: { 'spec.job.parallelism': '4' },
    server:
      'spec.job.parallelism: Invalid value: "string": spec.job.parallelism in body must be of type integer: "string", .spec.job.parallelism: Invalid value: 0: .spec.job.parallelism accessor error: 4 is of the type string, expected int64',
    controller: [['spec.job.parallelism: expected an integer from 1 to 32768, got "4"', 'Remove the quotes: parallelism: 4.']],
  },
  {
    what: 'half a subtask',
    set: { 'spec.job.parallelism': 1.5 },
    server:
      'spec.job.parallelism: Invalid value: "number": spec.job.parallelism in body must be of type integer: "number", .spec.job.parallelism: Invalid value: 0: .spec.job.parallelism accessor error: 1.5 is of the type float64, expected int64',
    controller: [
      [
        'spec.job.parallelism: expected an integer from 1 to 32768, got 1.5',
        'Correct it, or remove the line to get the default 1.',
      ],
    ],
  },
  {
    what: 'no subtask',
    set: { 'spec.job.parallelism': 0 },
    server: 'spec.job.parallelism: Invalid value: 0: spec.job.parallelism in body should be greater than or equal to 1',
    controller: [
      [
        'spec.job.parallelism: expected an integer from 1 to 32768, got 0',
        'Correct it, or remove the line to get the default 1.',
      ],
    ],
  },
  {
    what: 'more subtasks than key groups',
    set: { 'spec.job.parallelism': 200 },
    server: 'spec.job: Invalid value: "object": spec.job.parallelism must be at most spec.job.maxParallelism',
    controller: [
      [
        'spec.job.parallelism: expected at most spec.job.maxParallelism, got 200',
        'Correct it, or remove the line to get the default 1.',
      ],
    ],
  },
  {
    what: 'key groups that are no power of two',
    set: { 'spec.job.maxParallelism': 200 },
    server: 'spec.job: Invalid value: "object": spec.job.maxParallelism must be a power of two',
    controller: [
      [
        'spec.job.maxParallelism: expected a power of two from 128 to 32768, got 200',
        'Correct it, or remove the line to get the default 128.',
      ],
    ],
  },
  {
    what: 'fewer key groups than there may be',
    set: { 'spec.job.maxParallelism': 64 },
    server:
      '[spec.job.maxParallelism: Invalid value: 64: spec.job.maxParallelism in body should be greater than or equal to 128, spec.job: Invalid value: "object": spec.job.maxParallelism must be a power of two]',
    controller: [
      [
        'spec.job.maxParallelism: expected an integer from 128 to 32768, got 64',
        'Correct it, or remove the line to get the default 128.',
      ],
    ],
  },
  {
    what: 'more key groups than there may be',
    set: { 'spec.job.maxParallelism': 65536 },
    server:
      '[spec.job.maxParallelism: Invalid value: 65536: spec.job.maxParallelism in body should be less than or equal to 32768, spec.job: Invalid value: "object": spec.job.maxParallelism must be a power of two]',
    controller: [
      [
        'spec.job.maxParallelism: expected an integer from 128 to 32768, got 65536',
        'Correct it, or remove the line to get the default 128.',
      ],
    ],
  },
  {
    what: 'a mistyped field',
    set: { 'spec.job.paralelism': 4 },
    server: 'strict decoding error: unknown field "spec.job.paralelism"',
    controller: [['spec.job.paralelism: unknown field', 'Did you mean spec.job.parallelism?']],
  },
  {
    what: 'a field at the wrong depth',
    set: { 'spec.parallelism': 4 },
    server: 'strict decoding error: unknown field "spec.parallelism"',
    controller: [['spec.parallelism: unknown field', 'Did you mean spec.job.parallelism?']],
  },
  {
    what: 'a field that nothing resembles',
    set: { 'spec.job.zebra': 4 },
    server: 'strict decoding error: unknown field "spec.job.zebra"',
    controller: [
      ['spec.job.zebra: unknown field', 'Remove it. Known here: module, args, parallelism, maxParallelism, desiredState.'],
    ],
  },
  {
    what: 'an argument that is a number',
    set: { 'spec.job.args': { port: 9000 } },
    server: 'spec.job.args.port: Invalid value: "integer": spec.job.args.port in body must be of type string: "integer"',
    controller: [['spec.job.args.port: expected a string, got 9000', 'Put it in quotes: port: "9000".']],
  },
  {
    what: 'arguments as a list',
    set: { 'spec.job.args': ['--port', '9000'] },
    server: 'spec.job.args: Invalid value: "array": spec.job.args in body must be of type object: "array"',
    controller: [['spec.job.args: expected a map of fields, got ["--port","9000"]', 'Correct spec.job.args.']],
  },
  {
    what: 'a state that nobody can wish for',
    set: { 'spec.job.desiredState': 'Stopped' },
    server: 'spec.job.desiredState: Unsupported value: "Stopped": supported values: "Running", "Suspended"',
    controller: [
      [
        'spec.job.desiredState: expected one of Running, Suspended, got "Stopped"',
        'Correct it, or remove the line to get the default Running.',
      ],
    ],
  },
  {
    what: 'a value in the wrong case',
    set: { 'spec.job.desiredState': 'suspended' },
    server: 'spec.job.desiredState: Unsupported value: "suspended": supported values: "Running", "Suspended"',
    controller: [['spec.job.desiredState: expected one of Running, Suspended, got "suspended"', 'Did you mean Suspended?']],
  },
  {
    what: 'an engine that is not there yet',
    set: { 'spec.engine': 'Flink' },
    server: 'spec.engine: Unsupported value: "Flink": supported values: "TypeScript"',
    controller: [['spec.engine: "Flink" is not available in this version', 'Use TypeScript.']],
  },
  {
    what: 'text instead of a job',
    set: { 'spec.job': 'word-count.js' },
    server:
      'spec.job: Invalid value: "string": spec.job in body must be of type object: "string", .spec.job.parallelism: Invalid value: 0: .spec.job.parallelism accessor error: word-count.js is of the type string, expected map[string]interface{}',
    controller: [['spec.job: expected a map of fields, got "word-count.js"', 'Correct spec.job.']],
  },
  {
    what: 'a name with an underscore',
    set: { 'metadata.name': 'word_count' },
    server:
      "[metadata.name: Invalid value: \"word_count\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'), <nil>: Invalid value: \"object\": metadata.name must be lower-case letters, digits and dashes, beginning with a letter]",
    controller: [
      [
        'metadata.name: expected lower-case letters, digits and dashes, beginning with a letter (names: at most 45 characters), got "word_count"',
        'Correct metadata.name.',
      ],
    ],
  },
  {
    what: 'a name with a dot',
    set: { 'metadata.name': 'word.count' },
    server:
      '<nil>: Invalid value: "object": metadata.name must be lower-case letters, digits and dashes, beginning with a letter',
    controller: [
      [
        'metadata.name: expected lower-case letters, digits and dashes, beginning with a letter (names: at most 45 characters), got "word.count"',
        'Correct metadata.name.',
      ],
    ],
  },
  {
    what: 'a name that begins with a digit',
    set: { 'metadata.name': '1st-job' },
    server:
      '<nil>: Invalid value: "object": metadata.name must be lower-case letters, digits and dashes, beginning with a letter',
    controller: [
      [
        'metadata.name: expected lower-case letters, digits and dashes, beginning with a letter (names: at most 45 characters), got "1st-job"',
        'Correct metadata.name.',
      ],
    ],
  },
  {
    what: 'a name of more than 45 characters',
    set: { 'metadata.name': 'a-name-that-goes-on-and-on-until-no-pod-can-bear-it' },
    server: '<nil>: Invalid value: "object": metadata.name must have at most 45 characters',
    controller: [
      [
        'metadata.name: expected lower-case letters, digits and dashes, beginning with a letter (names: at most 45 characters), got "a-name-that-goes-on-and-on-until-no-pod-can-bear-it"',
        'Correct metadata.name.',
      ],
    ],
  },
  {
    what: 'a mistyped upgrade mode',
    set: { 'spec.upgrade.mode': 'LastSate' },
    server: 'spec.upgrade.mode: Unsupported value: "LastSate": supported values: "Savepoint", "LastState", "Stateless"',
    controller: [
      ['spec.upgrade.mode: expected one of Savepoint, LastState, Stateless, got "LastSate"', 'Did you mean LastState?'],
    ],
  },
  {
    what: 'a strategy that is not there yet',
    set: { 'spec.upgrade.strategy': 'BlueGreen' },
    server: 'spec.upgrade.strategy: Unsupported value: "BlueGreen": supported values: "InPlace"',
    controller: [['spec.upgrade.strategy: "BlueGreen" is not available in this version', 'Use InPlace.']],
  },
  {
    what: 'no time to stop',
    set: { 'spec.upgrade.stopTimeoutSeconds': 0 },
    server:
      'spec.upgrade.stopTimeoutSeconds: Invalid value: 0: spec.upgrade.stopTimeoutSeconds in body should be greater than or equal to 1',
    controller: [
      [
        'spec.upgrade.stopTimeoutSeconds: expected an integer from 1 to 86400, got 0',
        'Correct it, or remove the line to get the default 120.',
      ],
    ],
  },
  {
    what: 'a duration with a unit',
    set: { 'spec.upgrade.stopTimeoutSeconds': '2m' },
    server:
      'spec.upgrade.stopTimeoutSeconds: Invalid value: "string": spec.upgrade.stopTimeoutSeconds in body must be of type integer: "string"',
    controller: [
      [
        'spec.upgrade.stopTimeoutSeconds: expected an integer from 1 to 86400, got "2m"',
        'Correct it, or remove the line to get the default 120.',
      ],
    ],
  },
  {
    what: 'a restore from a path that is not there',
    set: { 'spec.restore.from': 'Path' },
    server: 'spec.restore: Invalid value: "object": spec.restore.path goes with spec.restore.from: Path, and only with it',
    controller: [
      [
        'spec.restore.path: expected a checkpoint folder, because spec.restore.from is Path, got nothing',
        'Add spec.restore.path, such as chk-000117-e7 (flinkjob lineage lists them).',
      ],
    ],
  },
  {
    what: 'a path that is not asked for',
    set: { 'spec.restore.path': 'chk-000117-e7' },
    server: 'spec.restore: Invalid value: "object": spec.restore.path goes with spec.restore.from: Path, and only with it',
    controller: [
      [
        'spec.restore.path: expected no path unless spec.restore.from is Path, got "chk-000117-e7"',
        'Set spec.restore.from to Path, or remove spec.restore.path.',
      ],
    ],
  },
  {
    what: 'a lineage that is adopted from nobody',
    set: { 'spec.restore.adopt': {} },
    server: 'spec.restore.adopt.from: Required value',
    controller: [['spec.restore.adopt.from: expected a non-empty string, got nothing', 'Add spec.restore.adopt.from.']],
  },
  {
    what: 'dropped state without a name',
    set: { 'spec.restore.allowDroppedState': [''] },
    server:
      'spec.restore.allowDroppedState[0]: Invalid value: "": spec.restore.allowDroppedState[0] in body should be at least 1 chars long',
    controller: [
      ['spec.restore.allowDroppedState[0]: expected a non-empty string, got ""', 'Correct spec.restore.allowDroppedState[0].'],
    ],
  },
  {
    what: 'the same dropped state twice',
    set: { 'spec.restore.allowDroppedState': ['counts', 'counts'] },
    server: 'spec.restore.allowDroppedState[1]: Duplicate value: "counts"',
    controller: [],
  },
  {
    what: 'a state backend of another project',
    set: { 'spec.state.backend': 'rocksdb' },
    server: 'spec.state.backend: Unsupported value: "rocksdb": supported values: "HashMap", "RocksDB"',
    controller: [['spec.state.backend: expected one of HashMap, RocksDB, got "rocksdb"', 'Did you mean RocksDB?']],
  },
  {
    what: 'storage of a kind that there is not',
    set: { 'spec.state.checkpointStorage': 'gs://bucket/jobs' },
    server:
      'spec.state.checkpointStorage: Invalid value: "string": must be a URL such as s3://bucket/prefix or file:///directory',
    controller: [
      [
        'spec.state.checkpointStorage: expected a URL such as s3://bucket/prefix or file:///directory, got "gs://bucket/jobs"',
        'Correct spec.state.checkpointStorage.',
      ],
    ],
  },
  {
    what: 'a plain directory',
    set: { 'spec.state.checkpointStorage': '/var/checkpoints' },
    server:
      'spec.state.checkpointStorage: Invalid value: "string": must be a URL such as s3://bucket/prefix or file:///directory',
    controller: [
      [
        'spec.state.checkpointStorage: expected a URL such as s3://bucket/prefix or file:///directory, got "/var/checkpoints"',
        'Correct spec.state.checkpointStorage.',
      ],
    ],
  },
  {
    what: 'a bucket name in capitals',
    set: { 'spec.state.checkpointStorage': 's3://Bucket/jobs' },
    server:
      'spec.state.checkpointStorage: Invalid value: "string": must be a URL such as s3://bucket/prefix or file:///directory',
    controller: [
      [
        'spec.state.checkpointStorage: expected a URL such as s3://bucket/prefix or file:///directory, got "s3://Bucket/jobs"',
        'Correct spec.state.checkpointStorage.',
      ],
    ],
  },
  {
    what: 'a relative directory',
    set: { 'spec.state.checkpointStorage': 'file:./checkpoints' },
    server:
      'spec.state.checkpointStorage: Invalid value: "object": must be absolute in a cluster, where no YAML file is that a path could count from: file:///directory',
    controller: [],
  },
  {
    what: 'a storage class without a size',
    set: { 'spec.state.localStorage': { storageClassName: 'fast' } },
    server: 'spec.state.localStorage: Invalid value: "object": spec.state.localStorage.size is needed with storageClassName',
    controller: [
      [
        'spec.state.localStorage.size: expected a size, because storageClassName is set, got nothing',
        'Add spec.state.localStorage.size, such as 50Gi.',
      ],
    ],
  },
  {
    what: 'a size that is none',
    set: { 'spec.state.localStorage': { size: '50 GB' } },
    server: 'spec.state.localStorage.size: Invalid value: "string": must be an amount of bytes such as 2Gi or 512Mi',
    controller: [
      [
        'spec.state.localStorage.size: expected an amount of bytes such as 2Gi or 512Mi, got "50 GB"',
        'Correct spec.state.localStorage.size.',
      ],
    ],
  },
  {
    what: 'no interval',
    set: { 'spec.checkpoints.intervalSeconds': 0 },
    server: 'spec.checkpoints.intervalSeconds: Invalid value: "number": must be at least 0.1',
    controller: [
      [
        'spec.checkpoints.intervalSeconds: expected a number from 0.1 to 86400, got 0',
        'Correct it, or remove the line to get the default 10.',
      ],
    ],
  },
  {
    what: 'a negative pause',
    set: { 'spec.checkpoints.minPauseSeconds': -1 },
    server:
      'spec.checkpoints.minPauseSeconds: Invalid value: -1: spec.checkpoints.minPauseSeconds in body should be greater than or equal to 0',
    controller: [
      [
        'spec.checkpoints.minPauseSeconds: expected a number from 0 to 86400, got -1',
        'Correct it, or remove the line to get the default 0.',
      ],
    ],
  },
  {
    what: 'no checkpoint kept',
    set: { 'spec.checkpoints.retain': 0 },
    server: 'spec.checkpoints.retain: Invalid value: 0: spec.checkpoints.retain in body should be greater than or equal to 1',
    controller: [
      [
        'spec.checkpoints.retain: expected an integer from 1 to 100, got 0',
        'Correct it, or remove the line to get the default 3.',
      ],
    ],
  },
  {
    what: 'a checkpointing mode of Flink’s',
    set: { 'spec.checkpoints.mode': 'EXACTLY_ONCE' },
    server: 'spec.checkpoints.mode: Unsupported value: "EXACTLY_ONCE": supported values: "ExactlyOnce", "AtLeastOnce"',
    controller: [
      ['spec.checkpoints.mode: expected one of ExactlyOnce, AtLeastOnce, got "EXACTLY_ONCE"', 'Did you mean ExactlyOnce?'],
    ],
  },
  {
    what: 'no slot',
    set: { 'spec.taskManager.slots': 0 },
    server: 'spec.taskManager.slots: Invalid value: 0: spec.taskManager.slots in body should be greater than or equal to 1',
    controller: [
      [
        'spec.taskManager.slots: expected an integer from 1 to 256, got 0',
        'Correct it, or remove the line to get the default 1.',
      ],
    ],
  },
  {
    what: 'memory that is no amount',
    set: { 'spec.taskManager.resources': { limits: { memory: '2 GB' } } },
    server: 'spec.taskManager.resources.limits.memory: Invalid value: "string": must be an amount of bytes such as 2Gi or 512Mi',
    controller: [
      [
        'spec.taskManager.resources.limits.memory: expected an amount of bytes such as 2Gi or 512Mi, got "2 GB"',
        'Correct spec.taskManager.resources.limits.memory.',
      ],
    ],
  },
  {
    what: 'memory as a number',
    set: { 'spec.taskManager.resources': { limits: { memory: 2048 } } },
    server:
      'spec.taskManager.resources.limits.memory: Invalid value: "integer": spec.taskManager.resources.limits.memory in body must be of type string: "integer"',
    controller: [
      [
        'spec.taskManager.resources.limits.memory: expected an amount of bytes such as 2Gi or 512Mi, got 2048',
        'Put it in quotes: memory: "2048".',
      ],
    ],
  },
  {
    what: 'CPU that is no amount',
    set: { 'spec.taskManager.resources': { requests: { cpu: 'half' } } },
    server: 'spec.taskManager.resources.requests.cpu: Invalid value: "string": must be an amount of CPU such as "2" or 500m',
    controller: [
      [
        'spec.taskManager.resources.requests.cpu: expected an amount of CPU such as "2" or 500m, got "half"',
        'Correct spec.taskManager.resources.requests.cpu.',
      ],
    ],
  },
  {
    what: 'a port that is none',
    set: { 'spec.jobManager.restPort': 70000 },
    server:
      'spec.jobManager.restPort: Invalid value: 70000: spec.jobManager.restPort in body should be less than or equal to 65535',
    controller: [
      ['spec.jobManager.restPort: expected an integer from 0 to 65535, got 70000', 'Correct spec.jobManager.restPort.'],
    ],
  },
  {
    what: 'attempts with another restart strategy',
    set: { 'spec.restartStrategy.attempts': 3 },
    server: 'spec.restartStrategy: Invalid value: "object": attempts goes with type FixedDelay',
    controller: [
      [
        'spec.restartStrategy.type: expected FixedDelay, because attempts is set, got nothing',
        'Set type to FixedDelay, or remove attempts.',
      ],
    ],
  },
  {
    what: 'a failure rate with another restart strategy',
    set: { 'spec.restartStrategy': { type: 'FixedDelay', maxFailuresPerInterval: 3 } },
    server: 'spec.restartStrategy: Invalid value: "object": maxFailuresPerInterval and intervalSeconds go with type FailureRate',
    controller: [
      [
        'spec.restartStrategy.type: expected FailureRate, because maxFailuresPerInterval or intervalSeconds is set, got "FixedDelay"',
        'Set type to FailureRate, or remove maxFailuresPerInterval and intervalSeconds.',
      ],
    ],
  },
  {
    what: 'an exponential field with another strategy',
    set: { 'spec.restartStrategy': { type: 'None', multiplier: 2 } },
    server:
      'spec.restartStrategy: Invalid value: "object": initialDelaySeconds, maxDelaySeconds, multiplier, jitterPercent and resetAfterSeconds go with type ExponentialDelay',
    controller: [
      [
        'spec.restartStrategy.type: expected ExponentialDelay, because one of its fields is set, got "None"',
        'Set type to ExponentialDelay, or remove initialDelaySeconds, maxDelaySeconds, multiplier, jitterPercent and resetAfterSeconds.',
      ],
    ],
  },
  {
    what: 'a jitter of more than everything',
    set: { 'spec.restartStrategy.jitterPercent': 101 },
    server:
      'spec.restartStrategy.jitterPercent: Invalid value: 101: spec.restartStrategy.jitterPercent in body should be less than or equal to 100',
    controller: [
      [
        'spec.restartStrategy.jitterPercent: expected an integer from 0 to 100, got 101',
        'Correct spec.restartStrategy.jitterPercent.',
      ],
    ],
  },
  {
    what: 'a variable with two sources',
    set: { 'spec.podTemplate': { env: [{ name: 'A', value: 'a', valueFrom: {} }] } },
    server: 'spec.podTemplate.env[0]: Invalid value: "object": a variable has value or valueFrom, not both',
    controller: [['spec.podTemplate.env[0].value: expected no value beside valueFrom, got "a"', 'Remove one of the two.']],
  },
  {
    what: 'a variable that no shell could name',
    set: { 'spec.podTemplate': { env: [{ name: 'A-B', value: 'a' }] } },
    server:
      'spec.podTemplate.env[0].name: Invalid value: "string": must be letters, digits and underscores, not beginning with a digit',
    controller: [
      [
        'spec.podTemplate.env[0].name: expected letters, digits and underscores, not beginning with a digit, got "A-B"',
        'Correct spec.podTemplate.env[0].name.',
      ],
    ],
  },
  {
    what: 'a variable that is a number',
    set: { 'spec.podTemplate': { env: [{ name: 'A', value: 1 }] } },
    server:
      'spec.podTemplate.env[0].value: Invalid value: "integer": spec.podTemplate.env[0].value in body must be of type string: "integer"',
    controller: [['spec.podTemplate.env[0].value: expected a string, got 1', 'Put it in quotes: value: "1".']],
  },
  {
    what: 'a toleration of an effect that there is not',
    set: { 'spec.podTemplate': { tolerations: [{ effect: 'Never' }] } },
    server:
      'spec.podTemplate.tolerations[0].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
    controller: [
      [
        'spec.podTemplate.tolerations[0].effect: expected one of NoSchedule, PreferNoSchedule, NoExecute, got "Never"',
        'Correct spec.podTemplate.tolerations[0].effect.',
      ],
    ],
  },
  {
    what: 'a pull policy that there is not',
    set: { 'spec.podTemplate.imagePullPolicy': 'Sometimes' },
    server:
      'spec.podTemplate.imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"',
    controller: [
      [
        'spec.podTemplate.imagePullPolicy: expected one of Always, IfNotPresent, Never, got "Sometimes"',
        'Correct spec.podTemplate.imagePullPolicy.',
      ],
    ],
  },
  {
    what: 'a label that is the operator’s',
    set: { 'spec.podTemplate': { labels: { 'flinkjob.dev/attempt': '1' } } },
    server:
      'spec.podTemplate.labels: Invalid value: "object": these labels are those by which the operator and Kubernetes find pods',
    controller: [
      [
        'spec.podTemplate.labels: expected no label by which the operator or Kubernetes finds pods, such as flinkjob.dev/… or app.kubernetes.io/name, got {"flinkjob.dev/attempt":"1"}',
        'Use labels of your own.',
      ],
    ],
  },
  {
    what: 'processes as root',
    set: { 'spec.podTemplate': { securityContext: { runAsUser: 0 } } },
    server:
      'spec.podTemplate.securityContext.runAsUser: Invalid value: 0: spec.podTemplate.securityContext.runAsUser in body should be greater than or equal to 1',
    controller: [
      [
        'spec.podTemplate.securityContext.runAsUser: expected an integer from 1 to 2147483647, got 0',
        'Correct spec.podTemplate.securityContext.runAsUser.',
      ],
    ],
  },
  {
    what: 'a volume of nothing',
    set: { 'spec.podTemplate': { volumes: [{ name: 'data' }] } },
    server:
      'spec.podTemplate.volumes[0]: Invalid value: "object": a volume has exactly one of configMap, secret, persistentVolumeClaim, emptyDir, projected, csi, ephemeral',
    controller: [
      [
        'spec.podTemplate.volumes[0]: expected exactly one of configMap, secret, persistentVolumeClaim, emptyDir, projected, csi, ephemeral, got {"name":"data"}',
        'Say once what is in the volume.',
      ],
    ],
  },
  {
    what: 'a directory of the node',
    set: { 'spec.podTemplate': { volumes: [{ name: 'data', hostPath: { path: '/' } }] } },
    server: 'strict decoding error: unknown field "spec.podTemplate.volumes[0].hostPath"',
    controller: [
      [
        'spec.podTemplate.volumes[0].hostPath: unknown field',
        'Remove it. Known here: name, configMap, secret, persistentVolumeClaim, emptyDir, projected, csi, ephemeral.',
      ],
      [
        'spec.podTemplate.volumes[0]: expected exactly one of configMap, secret, persistentVolumeClaim, emptyDir, projected, csi, ephemeral, got {"name":"data","hostPath":{"path":"/"}}',
        'Say once what is in the volume.',
      ],
    ],
  },
  {
    what: 'a volume of the operator’s',
    set: { 'spec.podTemplate': { volumes: [{ name: 'flinkjob-x', emptyDir: {} }] } },
    server: 'spec.podTemplate.volumes[0].name: Invalid value: "string": volumes that begin with flinkjob- are the operator\'s',
    controller: [
      [
        'spec.podTemplate.volumes[0].name: expected a name that does not begin with flinkjob-, because such volumes are the operator’s, got "flinkjob-x"',
        'Rename the volume and its mounts.',
      ],
    ],
  },
  {
    what: 'a mount without a volume',
    set: { 'spec.podTemplate': { volumeMounts: [{ name: 'data', mountPath: '/data' }] } },
    server: 'spec.podTemplate: Invalid value: "object": every mount of spec.podTemplate names a volume of spec.podTemplate',
    controller: [
      [
        'spec.podTemplate.volumeMounts[0].name: expected the name of a volume in spec.podTemplate.volumes, got "data"',
        'Add the volume, or correct the name.',
      ],
    ],
  },
  {
    what: 'a mount over the runtime',
    set: {
      'spec.podTemplate': {
        volumes: [{ name: 'data', emptyDir: {} }],
        volumeMounts: [{ name: 'data', mountPath: '/opt/flinkjob' }],
      },
    },
    server:
      'spec.podTemplate.volumeMounts[0].mountPath: Invalid value: "string": /tmp, /etc/flinkjob…, /opt/flinkjob… and /var/lib/flinkjob… are the operator\'s and the runtime\'s',
    controller: [
      [
        'spec.podTemplate.volumeMounts[0].mountPath: expected another path than /tmp, /etc/flinkjob…, /opt/flinkjob… and /var/lib/flinkjob…, got "/opt/flinkjob"',
        'Mount it elsewhere: those are the operator’s and the runtime’s.',
      ],
    ],
  },
  {
    what: 'a mount path that leads elsewhere',
    set: {
      'spec.podTemplate': {
        volumes: [{ name: 'data', emptyDir: {} }],
        volumeMounts: [{ name: 'data', mountPath: '/data/../tmp' }],
      },
    },
    server: 'spec.podTemplate.volumeMounts[0].mountPath: Invalid value: "string": must have no . and no .. in it',
    controller: [
      [
        'spec.podTemplate.volumeMounts[0].mountPath: expected a path without . and .. in it, got "/data/../tmp"',
        'Write the path that it comes to.',
      ],
    ],
  },
  {
    what: 'a sidecar in the place of the job',
    set: { 'spec.podTemplate': { containers: [{ name: 'flinkjob', image: 'x' }] } },
    server: 'spec.podTemplate.containers[0].name: Invalid value: "string": flinkjob is the job\'s own container',
    controller: [
      [
        'spec.podTemplate.containers[0].name: expected another name than flinkjob, which is the job’s own container, got "flinkjob"',
        'Rename the container. What is to be changed of the job’s own has fields beside this one.',
      ],
    ],
  },
  {
    what: 'less time to end than a job needs',
    set: { 'spec.podTemplate.terminationGracePeriodSeconds': 0 },
    server:
      'spec.podTemplate.terminationGracePeriodSeconds: Invalid value: 0: spec.podTemplate.terminationGracePeriodSeconds in body should be greater than or equal to 10',
    controller: [
      [
        'spec.podTemplate.terminationGracePeriodSeconds: expected an integer from 10 to 3600, got 0',
        'Correct spec.podTemplate.terminationGracePeriodSeconds.',
      ],
    ],
  },
  {
    what: 'a schedule that is none',
    set: { 'spec.savepoints': { schedule: 'every night' } },
    server:
      'spec.savepoints.schedule: Invalid value: "string": must be five fields: minute, hour, day of month, month, day of week',
    controller: [
      [
        'spec.savepoints.schedule: expected five fields: minute, hour, day of month, month, day of week, got "every night"',
        'Correct spec.savepoints.schedule.',
      ],
    ],
  },
  {
    what: 'a schedule that never comes up',
    set: { 'spec.savepoints': { schedule: '0 3 30 2 *' } },
    server: undefined,
    controller: [
      [
        'spec.savepoints.schedule: expected a cron schedule that comes up: minute, hour, day of month, month, day of week, got "0 3 30 2 *"',
        'Write five fields, such as "0 3 * * *" for every night at three.',
      ],
    ],
  },
  {
    what: 'a time zone that there is not',
    set: { 'spec.savepoints': { schedule: '0 3 * * *', timeZone: 'Mars/Base' } },
    server: undefined,
    controller: [
      [
        'spec.savepoints.timeZone: expected a time zone of the IANA database, got "Mars/Base"',
        'Name one such as Europe/Berlin, or leave it out for UTC.',
      ],
    ],
  },
  {
    what: 'no savepoint kept',
    set: { 'spec.savepoints': { schedule: '0 3 * * *', retain: 0 } },
    server: 'spec.savepoints.retain: Invalid value: 0: spec.savepoints.retain in body should be greater than or equal to 1',
    controller: [
      [
        'spec.savepoints.retain: expected an integer from 1 to 1000, got 0',
        'Correct it, or remove the line to get the default 7.',
      ],
    ],
  },
  {
    what: 'a rollback mode that there is not',
    set: { 'spec.upgrade.rollback': { mode: 'Off' } },
    server: 'spec.upgrade.rollback.mode: Unsupported value: "Off": supported values: "Automatic", "Manual"',
    controller: [
      [
        'spec.upgrade.rollback.mode: expected one of Automatic, Manual, got "Off"',
        'Correct it, or remove the line to get the default Automatic.',
      ],
    ],
  },
  {
    what: 'a rollback mode that YAML takes for a boolean',
    set: { 'spec.upgrade.rollback': { mode: false } },
    server:
      'spec.upgrade.rollback.mode: Invalid value: "boolean": spec.upgrade.rollback.mode in body must be of type string: "boolean", spec.upgrade.rollback.mode: Unsupported value: false: supported values: "Automatic", "Manual"',
    controller: [
      [
        'spec.upgrade.rollback.mode: expected one of Automatic, Manual, got false',
        'Correct it, or remove the line to get the default Automatic.',
      ],
    ],
  },
  {
    what: 'stable without a checkpoint',
    set: { 'spec.upgrade.rollback': { stableCheckpoints: 0 } },
    server:
      'spec.upgrade.rollback.stableCheckpoints: Invalid value: 0: spec.upgrade.rollback.stableCheckpoints in body should be greater than or equal to 1',
    controller: [
      [
        'spec.upgrade.rollback.stableCheckpoints: expected an integer from 1 to 100, got 0',
        'Correct it, or remove the line to get the default 2.',
      ],
    ],
  },
  {
    what: 'a restart nonce in words',
    set: { 'spec.restartNonce': 'now' },
    server: 'spec.restartNonce: Invalid value: "string": spec.restartNonce in body must be of type integer: "string"',
    controller: [['spec.restartNonce: expected an integer from 0 to 2147483647, got "now"', 'Correct spec.restartNonce.']],
  },
  {
    what: 'a negative life after the end',
    set: { 'spec.ttlSecondsAfterFinished': -1 },
    server:
      'spec.ttlSecondsAfterFinished: Invalid value: -1: spec.ttlSecondsAfterFinished in body should be greater than or equal to 0',
    controller: [
      ['spec.ttlSecondsAfterFinished: expected an integer from 0 to 31536000, got -1', 'Correct spec.ttlSecondsAfterFinished.'],
    ],
  },
  {
    what: 'a window of failures that is too short',
    set: { 'spec.recovery': { windowSeconds: 5 } },
    server:
      'spec.recovery.windowSeconds: Invalid value: 5: spec.recovery.windowSeconds in body should be greater than or equal to 60',
    controller: [
      [
        'spec.recovery.windowSeconds: expected an integer from 60 to 604800, got 5',
        'Correct it, or remove the line to get the default 3600.',
      ],
    ],
  },
  {
    what: 'a deletion that deletes',
    set: { 'spec.checkpoints.onDelete': 'Delete' },
    server: 'spec.checkpoints.onDelete: Unsupported value: "Delete": supported values: "Savepoint", "Retain", "Purge"',
    controller: [
      [
        'spec.checkpoints.onDelete: expected one of Savepoint, Retain, Purge, got "Delete"',
        'Correct it, or remove the line to get the default Retain.',
      ],
    ],
  },
  {
    what: 'storage with credentials in its URL',
    set: { 'spec.state.checkpointStorage': 's3://AKIAEXAMPLE:hunter2@bucket/jobs' },
    server:
      'spec.state.checkpointStorage: Invalid value: "string": must be a URL such as s3://bucket/prefix or file:///directory',
    controller: [
      [
        'spec.state.checkpointStorage: expected a URL such as s3://bucket/prefix or file:///directory, got "s3://***@bucket/jobs"',
        'Correct spec.state.checkpointStorage.',
      ],
    ],
  },
  {
    what: 'storage with a query',
    set: { 'spec.state.checkpointStorage': 's3://bucket/jobs?secretKey=hunter2' },
    server:
      'spec.state.checkpointStorage: Invalid value: "string": must be a URL such as s3://bucket/prefix or file:///directory',
    controller: [
      [
        'spec.state.checkpointStorage: expected a URL such as s3://bucket/prefix or file:///directory, got "s3://bucket/jobs?***"',
        'Correct spec.state.checkpointStorage.',
      ],
    ],
  },
  {
    what: 'a directory with a password',
    set: { 'spec.state.checkpointStorage': 'file://user:hunter2@nas/jobs' },
    server:
      'spec.state.checkpointStorage: Invalid value: "string": must be a URL such as s3://bucket/prefix or file:///directory',
    controller: [
      [
        'spec.state.checkpointStorage: expected a URL such as s3://bucket/prefix or file:///directory, got "file://***@nas/jobs"',
        'Correct spec.state.checkpointStorage.',
      ],
    ],
  },
  {
    what: 'a directory of another machine',
    set: { 'spec.state.checkpointStorage': 'file://nas/jobs' },
    server:
      'spec.state.checkpointStorage: Invalid value: "string": must be a URL such as s3://bucket/prefix or file:///directory',
    controller: [
      [
        'spec.state.checkpointStorage: expected a URL such as s3://bucket/prefix or file:///directory, got "file://nas/jobs"',
        'Correct spec.state.checkpointStorage.',
      ],
    ],
  },
  {
    what: 'a directory with a query',
    set: { 'spec.state.checkpointStorage': 'file:///jobs?mode=rw' },
    server:
      'spec.state.checkpointStorage: Invalid value: "string": must be a URL such as s3://bucket/prefix or file:///directory',
    controller: [
      [
        'spec.state.checkpointStorage: expected a URL such as s3://bucket/prefix or file:///directory, got "file:///jobs?***"',
        'Correct spec.state.checkpointStorage.',
      ],
    ],
  },
  {
    what: 'a way out of the bucket’s prefix',
    set: { 'spec.state.checkpointStorage': 's3://bucket/../jobs' },
    server:
      'spec.state.checkpointStorage: Invalid value: "string": must be a URL such as s3://bucket/prefix or file:///directory',
    controller: [
      [
        'spec.state.checkpointStorage: expected a URL such as s3://bucket/prefix or file:///directory, got "s3://bucket/../jobs"',
        'Correct spec.state.checkpointStorage.',
      ],
    ],
  },
  {
    what: 'a restore with credentials in the path',
    set: { 'spec.restore': { from: 'Path', path: 's3://AKIAEXAMPLE:hunter2@bucket/jobs/chk-1' } },
    server: 'spec.restore.path: Invalid value: "string": must hold no user and no password: they come from the environment',
    controller: [
      [
        'spec.restore.path: expected no user and no password in the URL, got "s3://***@bucket/jobs/chk-1"',
        'Take them out, and give them to the job in its environment (docs/checkpoint-storage.md).',
      ],
    ],
  },
  {
    what: 'a module with credentials in its URL',
    set: { 'spec.job.module': 's3://AKIAEXAMPLE:hunter2@bucket/words.js' },
    server: 'spec.job.module: Invalid value: "string": must hold no user and no password: they come from the environment',
    controller: [
      [
        'spec.job.module: expected no user and no password in the URL, got "s3://***@bucket/words.js"',
        'Take them out, and give them to the job in its environment (docs/checkpoint-storage.md).',
      ],
    ],
  },
  {
    what: 'a negative number of subtasks',
    set: { 'spec.job.parallelism': -4 },
    server:
      '[spec.job.parallelism: Invalid value: -4: spec.job.parallelism in body should be greater than or equal to 1, .spec.job.parallelism: Invalid value: -4: should be a non-negative integer]',
    controller: [
      [
        'spec.job.parallelism: expected an integer from 1 to 32768, got -4',
        'Correct it, or remove the line to get the default 1.',
      ],
    ],
  },
  {
    what: 'more subtasks than a computer can count',
    set: { 'spec.job.parallelism': 9007199254740992 },
    server:
      '[spec.job.parallelism: Invalid value: 9007199254740992: spec.job.parallelism in body should be less than or equal to 32768, .spec.job.parallelism: Invalid value: 9007199254740992: should be less than or equal to 2147483647, spec.job: Invalid value: "object": spec.job.parallelism must be at most spec.job.maxParallelism]',
    controller: [
      [
        'spec.job.parallelism: expected an integer from 1 to 32768, got 9007199254740992',
        'Correct it, or remove the line to get the default 1.',
      ],
      [
        'spec.job.parallelism: expected at most spec.job.maxParallelism, got 9007199254740992',
        'Correct it, or remove the line to get the default 1.',
      ],
    ],
  },
  {
    what: 'memory in scientific notation',
    set: { 'spec.taskManager.resources': { limits: { memory: '1e3' } } },
    server: 'spec.taskManager.resources.limits.memory: Invalid value: "string": must be an amount of bytes such as 2Gi or 512Mi',
    controller: [
      [
        'spec.taskManager.resources.limits.memory: expected an amount of bytes such as 2Gi or 512Mi, got "1e3"',
        'Correct spec.taskManager.resources.limits.memory.',
      ],
    ],
  },
  {
    what: 'no memory',
    set: { 'spec.taskManager.resources': { limits: { memory: '0' } } },
    server: 'spec.taskManager.resources.limits.memory: Invalid value: "string": must be an amount of bytes such as 2Gi or 512Mi',
    controller: [
      [
        'spec.taskManager.resources.limits.memory: expected an amount of bytes such as 2Gi or 512Mi, got "0"',
        'Correct spec.taskManager.resources.limits.memory.',
      ],
    ],
  },
  {
    what: 'negative memory',
    set: { 'spec.taskManager.resources': { limits: { memory: '-1Gi' } } },
    server: 'spec.taskManager.resources.limits.memory: Invalid value: "string": must be an amount of bytes such as 2Gi or 512Mi',
    controller: [
      [
        'spec.taskManager.resources.limits.memory: expected an amount of bytes such as 2Gi or 512Mi, got "-1Gi"',
        'Correct spec.taskManager.resources.limits.memory.',
      ],
    ],
  },
  {
    what: 'CPU in scientific notation',
    set: { 'spec.taskManager.resources': { limits: { cpu: '1e3' } } },
    server: 'spec.taskManager.resources.limits.cpu: Invalid value: "string": must be an amount of CPU such as "2" or 500m',
    controller: [
      [
        'spec.taskManager.resources.limits.cpu: expected an amount of CPU such as "2" or 500m, got "1e3"',
        'Correct spec.taskManager.resources.limits.cpu.',
      ],
    ],
  },
  {
    what: 'a name with an umlaut',
    set: { 'metadata.name': 'wörter' },
    server:
      "[metadata.name: Invalid value: \"wörter\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'), <nil>: Invalid value: \"object\": metadata.name must be lower-case letters, digits and dashes, beginning with a letter]",
    controller: [
      [
        'metadata.name: expected lower-case letters, digits and dashes, beginning with a letter (names: at most 45 characters), got "wörter"',
        'Correct metadata.name.',
      ],
    ],
  },
  {
    what: 'a name of 64 characters',
    set: { 'metadata.name': 'wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww' },
    server: '<nil>: Invalid value: "object": metadata.name must have at most 45 characters',
    controller: [
      [
        'metadata.name: expected lower-case letters, digits and dashes, beginning with a letter (names: at most 45 characters), got "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww"',
        'Correct metadata.name.',
      ],
    ],
  },
  {
    what: 'a variable without a name',
    set: { 'spec.podTemplate': { env: [{ name: '', value: 'a' }] } },
    server:
      'spec.podTemplate.env[0].name: Invalid value: "string": must be letters, digits and underscores, not beginning with a digit',
    controller: [
      [
        'spec.podTemplate.env[0].name: expected letters, digits and underscores, not beginning with a digit, got ""',
        'Correct spec.podTemplate.env[0].name.',
      ],
    ],
  },
  {
    what: 'a schedule with seconds',
    set: { 'spec.savepoints': { schedule: '*/10 * * * * *' } },
    server:
      'spec.savepoints.schedule: Invalid value: "string": must be five fields: minute, hour, day of month, month, day of week',
    controller: [
      [
        'spec.savepoints.schedule: expected five fields: minute, hour, day of month, month, day of week, got "*/10 * * * * *"',
        'Correct spec.savepoints.schedule.',
      ],
    ],
  },
  {
    what: 'a schedule by a nickname',
    set: { 'spec.savepoints': { schedule: '@daily' } },
    server:
      'spec.savepoints.schedule: Invalid value: "string": must be five fields: minute, hour, day of month, month, day of week',
    controller: [
      [
        'spec.savepoints.schedule: expected five fields: minute, hour, day of month, month, day of week, got "@daily"',
        'Correct spec.savepoints.schedule.',
      ],
    ],
  },
  {
    what: 'a minute that there is not',
    set: { 'spec.savepoints': { schedule: '60 3 * * *' } },
    server: undefined,
    controller: [
      [
        'spec.savepoints.schedule: expected a cron schedule that comes up: minute, hour, day of month, month, day of week, got "60 3 * * *"',
        'Write five fields, such as "0 3 * * *" for every night at three.',
      ],
    ],
  },
  {
    what: 'the time zone of wherever it runs',
    set: { 'spec.savepoints': { schedule: '0 3 * * *', timeZone: 'Local' } },
    server: undefined,
    controller: [
      [
        'spec.savepoints.timeZone: expected a time zone of the IANA database, got "Local"',
        'Name one such as Europe/Berlin, or leave it out for UTC.',
      ],
    ],
  },
  {
    what: 'no time zone',
    set: { 'spec.savepoints': { schedule: '0 3 * * *', timeZone: '' } },
    server: 'spec.savepoints.timeZone: Invalid value: "": spec.savepoints.timeZone in body should be at least 1 chars long',
    controller: [
      ['spec.savepoints.timeZone: expected a non-empty string, got ""', 'Correct it, or remove the line to get the default UTC.'],
      [
        'spec.savepoints.timeZone: expected a time zone of the IANA database, got ""',
        'Name one such as Europe/Berlin, or leave it out for UTC.',
      ],
    ],
  },
  {
    what: 'a drill at no time',
    set: { 'spec.savepoints': { schedule: '0 3 * * *', drill: {} } },
    server: 'spec.savepoints.drill.schedule: Required value',
    controller: [
      [
        'spec.savepoints.drill.schedule: expected five fields: minute, hour, day of month, month, day of week, got nothing',
        'Add spec.savepoints.drill.schedule.',
      ],
    ],
  },
  {
    what: 'a first pause longer than the longest',
    set: { 'spec.restartStrategy': { initialDelaySeconds: 60, maxDelaySeconds: 1 } },
    server: undefined,
    controller: [
      [
        'spec.restartStrategy.maxDelaySeconds: expected at least initialDelaySeconds, got 1',
        'Raise maxDelaySeconds, or lower initialDelaySeconds.',
      ],
    ],
  },
  {
    what: 'a restart nonce made of the time in milliseconds',
    set: { 'spec.restartNonce': 1795310520000 },
    server:
      'spec.restartNonce: Invalid value: 1795310520000: spec.restartNonce in body should be less than or equal to 2147483647',
    controller: [
      ['spec.restartNonce: expected an integer from 0 to 2147483647, got 1795310520000', 'Correct spec.restartNonce.'],
    ],
  },
];
