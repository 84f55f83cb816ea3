import { spawn } from 'node:child_process';

export interface ToolOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly workingDirectory?: string;
  /** What to install when it is not there. */
  readonly missing: string;
  readonly signal: AbortSignal;
}

/** Runs a tool to its end; gives what it printed (on both streams). */
export async function runTool({ command, args, workingDirectory, missing, signal }: ToolOptions): Promise<string> {
  const child = spawn(command, [...args], { cwd: workingDirectory, stdio: ['ignore', 'pipe', 'pipe'], signal });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const exit = await new Promise<string>((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'ENOENT' ? new Error(`there is no '${command}' on the PATH. ${missing}`) : error),
    );
    child.once('close', (code, killedBy) => resolve(code === null ? `signal ${killedBy}` : `exit code ${code}`));
  });
  if (exit !== 'exit code 0') {
    throw new Error(`${[command, ...args].join(' ')} ended with ${exit}:\n${output.trim().split('\n').slice(-40).join('\n')}`);
  }
  return output;
}
