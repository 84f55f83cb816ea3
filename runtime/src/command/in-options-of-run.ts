/** Errors name fields of a FlinkJob, which whoever calls `run` has not got: the same in its options. */
const optionOfField: readonly (readonly [field: RegExp, option: string])[] = [
  [/spec\.state\.backend:?/g, '--state-backend'],
  [/spec\.state\.checkpointStorage:?/g, '--checkpoint-storage'],
  [/spec\.checkpoints\.intervalSeconds:?/g, '--checkpoint-interval'],
  [/(?:spec\.job\.)?\bmaxParallelism:?(?= back to)/g, '--max-parallelism'],
  [/spec\.job\.parallelism:?/g, '--parallelism'],
  [/restore\.from: Path/g, '--restore'],
];

export function inOptionsOfRun(text: string): string {
  return optionOfField.reduce((rewritten, [field, option]) => rewritten.replace(field, option), text);
}
