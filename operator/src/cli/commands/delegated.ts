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
      meaning: "keeps the job's state: Ctrl-C stops with a savepoint, running it again continues",
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
  positionals: [
    { name: 'DIR', required: true, meaning: "a job's directory in checkpoint storage: <storage>/<namespace>/<name>" },
  ],
  options: { output: { type: 'string', short: 'o', value: 'FORMAT', choices: ['json'], meaning: 'for programs' } },
  examples: [
    {
      line: 'flinkjob lineage examples/word-count/checkpoints/default/word-count',
      meaning: 'checkpoints, savepoints, owners and epochs',
    },
  ],
});
