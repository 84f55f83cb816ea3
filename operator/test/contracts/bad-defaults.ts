/** Mistakes in the ConfigMap `flinkjob-defaults` of the namespace streams, and what the FlinkJobs there say of them: docs/bad-specs.md is made of this table, too. */
export interface BadDefaults {
  readonly what: string;
  readonly data: Readonly<Record<string, string>> | undefined;
  readonly message: string;
  readonly remedy: string;
}

const place = 'ConfigMap streams/flinkjob-defaults';
const inKey = `${place}, key spec`;
const toTheJobs = 'Write it into the FlinkJobs that want it.';
const spec = (text: string) => ({ spec: text });

export const defaultsRefusals: readonly BadDefaults[] = [
  {
    ...{ what: 'a ConfigMap without data', data: undefined, message: `${place}: there is no key spec` },
    remedy: 'Add spec, a part of a FlinkJob’s spec in YAML, or delete the ConfigMap.',
  },
  {
    ...{ what: 'another key', data: { values: 'checkpoints: {}' }, message: `${place}, key values: unknown key` },
    remedy: 'Remove it. Known here: spec.',
  },
  {
    ...{ what: 'no YAML', data: spec('taskManager: [1'), remedy: 'Correct the YAML.' },
    message: `${inKey}: Flow sequence in block collection must be sufficiently indented and end with a ] at line 1, column 16`,
  },
  {
    ...{ what: 'a key twice', data: spec('checkpoints: {}\ncheckpoints: {}'), remedy: 'Correct the YAML.' },
    message: `${inKey}: Map keys must be unique at line 2, column 1`,
  },
  {
    ...{ what: 'a list', data: spec('- checkpoints'), message: `${inKey}: expected a map of fields` },
    remedy: 'Write fields of a FlinkJob’s spec, such as checkpoints: { retain: 5 }.',
  },
  {
    ...{ what: 'a field of another name', data: spec('checkpoints: { intervalSecond: 30 }') },
    ...{ message: `${inKey}: checkpoints.intervalSecond: unknown field`, remedy: 'Did you mean checkpoints.intervalSeconds?' },
  },
  {
    ...{ what: 'a word for a number', data: spec('checkpoints: { intervalSeconds: fast }') },
    message: `${inKey}: checkpoints.intervalSeconds: expected a number from 0.1 to 86400, got "fast"`,
    remedy: 'Correct it, or remove the line to get the default 10.',
  },
  {
    ...{ what: 'fields of another restart strategy', data: spec('restartStrategy: { attempts: 3 }') },
    message: `${inKey}: restartStrategy.type: expected FixedDelay, because attempts is set, got nothing`,
    remedy: 'Set type to FixedDelay, or remove attempts.',
  },
  {
    ...{ what: 'a mount of no volume', data: spec('podTemplate: { volumeMounts: [{ name: ca, mountPath: /ca }] }') },
    message: `${inKey}: podTemplate.volumeMounts[0].name: expected the name of a volume in podTemplate.volumes, got "ca"`,
    remedy: 'Add the volume, or correct the name.',
  },
  {
    ...{ what: 'an image', data: spec('image: registry.example/words:1'), remedy: toTheJobs },
    message: `${inKey}: image: says what one job is, and has no default for all`,
  },
  {
    ...{ what: 'what a job runs', data: spec('job: { parallelism: 2 }'), remedy: toTheJobs },
    message: `${inKey}: job: says what one job is, and has no default for all`,
  },
  {
    ...{ what: 'a checkpoint storage', data: spec('state: { checkpointStorage: s3://bucket/jobs }'), remedy: toTheJobs },
    message: `${inKey}: state.checkpointStorage: says where and what the state of one job is; a default that changes would lead it away from its state`,
  },
  {
    ...{ what: 'a state backend', data: spec('state: { backend: RocksDB }'), remedy: toTheJobs },
    message: `${inKey}: state.backend: says where and what the state of one job is; a default that changes would lead it away from its state`,
  },
  {
    ...{ what: 'a state that is a word', data: spec('state: RocksDB') },
    ...{ message: `${inKey}: state: expected a map of fields`, remedy: 'Correct state.' },
  },
  {
    ...{ what: 'empty state for all', data: spec('restore: { from: None }'), remedy: toTheJobs },
    message: `${inKey}: restore: is asked for by one job, once, and has no default for all`,
  },
  {
    ...{ what: 'upgrades without state for all', data: spec('upgrade: { mode: Stateless }'), remedy: toTheJobs },
    message: `${inKey}: upgrade.mode: Stateless drops the state of a job, which only the job itself may ask for`,
  },
  {
    ...{ what: 'going back in output for all', data: spec('upgrade: { rollback: { allowRewind: true } }'), remedy: toTheJobs },
    message: `${inKey}: upgrade.rollback.allowRewind: true writes output of a job again, which only the job itself may ask for`,
  },
  {
    ...{ what: 'a purge for all', data: spec('checkpoints: { onDelete: Purge }'), remedy: toTheJobs },
    message: `${inKey}: checkpoints.onDelete: Purge deletes the state of a job, which only the job itself may ask for`,
  },
];
