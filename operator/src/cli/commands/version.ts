import { readFile } from 'node:fs/promises';
import { type Command, exitCodes } from '../command.ts';

export const version: Command = {
  description: {
    name: 'version',
    summary: 'Print the version',
    positionals: [],
    options: {},
    examples: [{ line: 'flinkjob version', meaning: 'of this command and of the Node that runs it' }],
  },
  async run(_parsed, output) {
    const manifest = JSON.parse(await readFile(new URL('../../../package.json', import.meta.url), 'utf8')) as {
      readonly version: string;
    };
    output.print(`flinkjob ${manifest.version} (node ${process.versions.node})`);
    return exitCodes.ok;
  },
};
