import type { Command } from '../command.ts';

/** Commands of the runtime that people type as `flinkjob …`; it checks their arguments itself. */
function delegated(description: Command['description']): Command {
  const raw = async (args: readonly string[]) => {
    const { main } = await import('@flinkjob/runtime/command');
    return main([description.name, ...args]);
  };
  return { description, raw, run: (parsed) => raw(parsed.positionals) };
}

export const run = delegated({
  name: 'run',
  summary: 'Run a job module in one process; a finite job ends with exit code 0',
  positionals: [{ name: 'MODULE', required: true, meaning: 'a job module, such as word-count.ts' }],
  options: {
    arg: { type: 'string', value: 'NAME=VALUE', meaning: 'an argument for the module; may be repeated' },
    parallelism: { type: 'string', value: 'N', meaning: 'subtasks of each operator that asks for no other number (default 1)' },
    'state-backend': {
      type: 'string',
      value: 'NAME',
      choices: ['HashMap', 'RocksDB'],
      meaning: 'state in memory, the default, or on the local disk',
    },
    'checkpoint-storage': {
      type: 'string',
      value: 'DIR',
      meaning: "keeps the job's state there, or at s3://bucket/prefix: Ctrl-C stops with a savepoint, running it again continues",
    },
    restore: {
      type: 'string',
      value: 'URL',
      meaning: 'starts from a checkpoint or savepoint that lies anywhere; again with the same URL continues',
    },
  },
  examples: [
    {
      line: 'flinkjob run examples/socket-word-count/socket-word-count.ts --arg host=localhost --arg port=9000',
      meaning: 'no controller, no other process',
    },
  ],
});

export const lineage = delegated({
  name: 'lineage',
  summary: 'Show what checkpoint storage says about a job',
  details: ['lineage check DIR looks at every object instead: is everything there that checkpoints name, and nothing else?'],
  positionals: [
    { name: 'DIR', required: true, meaning: "a job's directory in checkpoint storage, or its URL: <storage>/<namespace>/<name>" },
  ],
  options: { output: { type: 'string', short: 'o', value: 'FORMAT', choices: ['json'], meaning: 'for programs' } },
  examples: [
    {
      line: 'flinkjob lineage examples/word-count/checkpoints/default/word-count',
      meaning: 'checkpoints, savepoints, owners and epochs',
    },
    {
      line: 'flinkjob lineage check examples/word-count/checkpoints/default/word-count',
      meaning: 'exit code 1 when something is garbage, missing or damaged',
    },
  ],
});

export const janitor = delegated({
  name: 'janitor',
  summary: 'Prove what every object in checkpoint storage is there for, and delete garbage',
  positionals: [
    { name: 'DIR', required: true, meaning: 'directory or URL of one lineage, or of the storage that holds those of many jobs' },
  ],
  options: {
    delete: { type: 'boolean', meaning: 'condemn garbage in the log, wait for the grace period, and delete it' },
    unattended: {
      type: 'boolean',
      meaning: 'you know that no JobManager of these lineages runs: files of their last epoch are judged too',
    },
    grace: { type: 'string', value: 'SECONDS', meaning: 'between condemning and deleting (default 60)' },
    young: { type: 'string', value: 'SECONDS', meaning: 'what is newer is left alone (default 900)' },
    output: { type: 'string', short: 'o', value: 'FORMAT', choices: ['json'], meaning: 'for programs' },
  },
  examples: [
    { line: 'flinkjob janitor s3://my-bucket/checkpoints', meaning: 'exit code 1 when something is garbage, missing or damaged' },
    { line: 'flinkjob janitor s3://my-bucket/checkpoints --delete', meaning: 'also beside jobs that run' },
  ],
});

export const state = delegated({
  name: 'state',
  summary: 'Show what is in a checkpoint or savepoint: operators, states, single keys, all rows',
  positionals: [
    { name: 'ACTION', required: true, meaning: 'ls, get, scan or export' },
    {
      name: 'SNAPSHOT',
      required: true,
      meaning: 'directory or URL of a checkpoint or savepoint, or of a lineage, whose latest it is then',
    },
    {
      name: 'UID',
      required: false,
      meaning: 'of an operator (get, scan); of export the file to be written, - for standard output',
    },
    { name: 'STATE', required: false, meaning: 'name of one of its states (get, scan)' },
    { name: 'KEY', required: false, meaning: 'JSON of its declared type (get); a string need not be quoted' },
  ],
  options: {
    output: { type: 'string', short: 'o', value: 'FORMAT', choices: ['json'], meaning: 'for programs (ls, get, scan)' },
    limit: { type: 'string', value: 'N', meaning: 'rows at most (scan, default 100)' },
    'key-group': { type: 'string', value: 'N[-N]', meaning: 'only these key groups (scan)' },
    to: { type: 'string', value: 'FORMAT', choices: ['jsonl'], meaning: 'how rows are written (export)' },
    uid: { type: 'string', value: 'UID', meaning: 'only this operator (export)' },
    state: { type: 'string', value: 'STATE', meaning: 'only this state of it (export)' },
    'local-directory': {
      type: 'string',
      value: 'DIR',
      meaning: "where files of RocksDB are opened; on the storage's own file system they are only linked",
    },
  },
  examples: [
    { line: 'flinkjob state ls checkpoints/default/word-count', meaning: 'what the newest checkpoint has' },
    { line: 'flinkjob state get checkpoints/default/word-count counts count to', meaning: 'one key' },
    {
      line: 'flinkjob state export s3://bucket/jobs/default/word-count/savepoints/000042-e3 rows.jsonl --to jsonl',
      meaning: 'every row of a savepoint',
    },
  ],
});
