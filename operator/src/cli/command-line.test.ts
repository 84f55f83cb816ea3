// Covers the parser and the help texts. What each command does with its arguments is covered by the process tests.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type CommandDescription,
  CommandLineError,
  commandHelp,
  overviewHelp,
  parseCommandLine,
  usageLine,
} from './command-line.ts';

const get: CommandDescription = {
  name: 'get',
  summary: 'Show jobs',
  positionals: [{ name: 'NAME', required: false, meaning: 'of one job' }],
  options: {
    'work-dir': { type: 'string', value: 'DIR', default: '.flinkjob', meaning: 'where the job lives' },
    output: { type: 'string', short: 'o', value: 'FORMAT', choices: ['json', 'yaml', 'wide'], meaning: 'how to print' },
    follow: { type: 'boolean', short: 'f', meaning: 'go on' },
  },
  examples: [{ line: 'flinkjob get -o json', meaning: 'all jobs as JSON' }],
};
const describe: CommandDescription = {
  ...get,
  name: 'describe',
  positionals: [{ name: 'NAME', required: true, meaning: 'the job' }],
  examples: [],
};

function failure(command: CommandDescription, args: readonly string[]): string {
  try {
    parseCommandLine(command, args);
  } catch (error) {
    assert(error instanceof CommandLineError, String(error));
    return `${error.message} | ${error.remedy}`;
  }
  return assert.fail('it was accepted');
}

test('options are read in each of their forms, before and after arguments', () => {
  for (const args of [
    ['-o', 'json', '-f', 'word-count'],
    ['word-count', '--output', 'json', '--follow'],
    ['--output=json', 'word-count', '-f'],
    ['-fo', 'json', 'word-count'],
  ]) {
    const parsed = parseCommandLine(get, args);
    assert.deepEqual(
      [parsed.text('output'), parsed.flag('follow'), parsed.positionals],
      ['json', true, ['word-count']],
      args.join(' '),
    );
  }
});

test('what was not given is undefined or false', () => {
  const parsed = parseCommandLine(get, []);
  assert.deepEqual(
    [parsed.text('output'), parsed.flag('follow'), parsed.positionals, parsed.help],
    [undefined, false, [], false],
  );
});

test('everything after -- is an argument', () => {
  assert.deepEqual(parseCommandLine(get, ['--', '--output']).positionals, ['--output']);
});

test('each mistake is answered with what it is and what to write', () => {
  const table: readonly (readonly [CommandDescription, readonly string[], string])[] = [
    [get, ['--fallow'], 'flinkjob get: unknown option --fallow | Did you mean --follow?'],
    [get, ['--quux'], 'flinkjob get: unknown option --quux | flinkjob get --help lists the options.'],
    [get, ['-x'], 'flinkjob get: unknown option -x | flinkjob get --help lists the options.'],
    [get, ['--constructor'], 'flinkjob get: unknown option --constructor | flinkjob get --help lists the options.'],
    [get, ['--work-dir'], 'flinkjob get: --work-dir needs a value | Write --work-dir DIR: where the job lives.'],
    [get, ['--work-dir='], 'flinkjob get: --work-dir needs a value | Write --work-dir DIR: where the job lives.'],
    [get, ['--work-dir', '--follow'], 'flinkjob get: --work-dir needs a value | Write --work-dir DIR: where the job lives.'],
    [get, ['--follow=yes'], 'flinkjob get: --follow takes no value | Write --follow alone.'],
    [get, ['-o', 'jsno'], 'flinkjob get: -o cannot be "jsno" | Did you mean json? It is one of json, yaml, wide.'],
    [get, ['a', 'b'], 'flinkjob get: "b" is one argument too many | Usage: flinkjob get [NAME] [options]'],
    [describe, [], 'flinkjob describe: NAME is missing (the job) | For example: flinkjob describe NAME [options]'],
  ];
  for (const [command, args, expected] of table) {
    assert.equal(failure(command, args), expected);
  }
});

test('--help wins over missing arguments', () => {
  assert.equal(parseCommandLine(describe, ['--help']).help, true);
  assert.equal(parseCommandLine(describe, ['-h']).help, true);
});

test('the help of a command shows its usage, options, choices, defaults and an example', () => {
  const help = commandHelp(get);
  for (const part of [
    usageLine(get),
    '-o, --output FORMAT',
    'one of json, yaml, wide',
    'default .flinkjob',
    '# all jobs as JSON',
    'flinkjob get -o json',
  ]) {
    assert(help.includes(part), `${part} in\n${help}`);
  }
});

test('the overview lists every command with its summary', () => {
  assert.match(
    overviewHelp([{ description: get }, { description: describe }], 'flinkjob'),
    /get +Show jobs\n +describe +Show jobs/,
  );
});
