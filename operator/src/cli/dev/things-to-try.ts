/** What the tips are made from; whatever is not known yet leaves its tip out. */
export interface TipFacts {
  /** Of a TaskManager that runs. */
  readonly taskManagerPid: number | undefined;
  readonly fileName: string;
  readonly parallelism: number;
  readonly parallelismLine: number | undefined;
  /** What starts this session again. */
  readonly startCommand: string;
}

/** Pure. Three things that show what the job survives, each as a person would type it. */
export function thingsToTry(facts: TipFacts): readonly string[] {
  const { taskManagerPid, fileName, parallelism, parallelismLine, startCommand } = facts;
  const other = parallelism === 1 ? 3 : parallelism + 1;
  return [
    ...(taskManagerPid === undefined
      ? []
      : [`kill -9 ${taskManagerPid} in another terminal: a TaskManager dies, its state comes back`]),
    ...(parallelismLine === undefined ? [] : [`set parallelism: ${other} in ${fileName}, line ${parallelismLine}, and save`]),
    `Ctrl-C, then ${startCommand}: it goes on where it stopped`,
  ];
}

/** As it was typed, for whoever came through one of the project's scripts. */
export function startCommandOf(environment: Readonly<Record<string, string | undefined>>, fileName: string): string {
  switch (environment['npm_lifecycle_event']) {
    case 'start':
      return 'npm start';
    case 'flinkjob':
      return `npm run flinkjob -- dev ${fileName}`;
    default:
      return `flinkjob dev ${fileName}`;
  }
}
