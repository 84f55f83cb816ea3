import { parseArgs } from 'node:util';
import { nearest } from './nearest.ts';

/** What a command understands; the parser, `--help` and the suggestions all read it. */
export interface CommandDescription {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Sentences below the usage line; each entry is a paragraph. */
  readonly details?: readonly string[];
  readonly positionals: readonly PositionalDescription[];
  readonly options: Readonly<Record<string, OptionDescription>>;
  readonly examples: readonly { readonly line: string; readonly meaning: string }[];
}

interface PositionalDescription {
  /** In capitals, as the usage line shows it. */
  readonly name: string;
  readonly required: boolean;
  readonly meaning: string;
}

export interface OptionDescription {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  /** Of a string option: what stands for the value in the usage line. */
  readonly value?: string;
  /** Shown in the help; the command itself applies it. */
  readonly default?: string;
  /** Of a string option: nothing else is accepted. */
  readonly choices?: readonly string[];
  readonly meaning: string;
}

export interface ParsedCommandLine {
  readonly help: boolean;
  readonly positionals: readonly string[];
  /** The value of a string option, or undefined when it was not given. */
  text(name: string): string | undefined;
  flag(name: string): boolean;
}

/** What is wrong with a command line, and how to put it right. Exit code 2. */
export class CommandLineError extends Error {
  override readonly name = 'CommandLineError';
  readonly remedy: string;

  constructor(message: string, remedy: string) {
    super(message);
    this.remedy = remedy;
  }
}

const helpOption: OptionDescription = { type: 'boolean', short: 'h', meaning: 'show this help' };

export function parseCommandLine(command: CommandDescription, args: readonly string[]): ParsedCommandLine {
  const options: Readonly<Record<string, OptionDescription>> = { ...command.options, help: helpOption };
  // Not strict: the messages of parseArgs name neither the nearest option nor the command.
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      Object.entries(options).map(([name, { type, short }]) => [name, short ? { type, short } : { type }]),
    ),
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const positionals: string[] = [];
  const values = new Map<string, string | true>();
  for (const token of tokens) {
    if (token.kind === 'positional') {
      positionals.push(token.value);
    } else if (token.kind === 'option') {
      values.set(token.name, optionValue(command, options, token));
    }
  }
  const help = values.has('help');
  if (!help) {
    checkPositionals(command, positionals);
  }
  return {
    help,
    positionals,
    text: (name) => {
      const value = values.get(name);
      return typeof value === 'string' ? value : undefined;
    },
    flag: (name) => values.get(name) === true,
  };
}

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

function optionValue(
  command: CommandDescription,
  options: Readonly<Record<string, OptionDescription>>,
  token: OptionToken,
): string | true {
  const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
  if (option === undefined) {
    const suggestion = token.rawName.startsWith('--') ? nearest(token.name, Object.keys(options)) : undefined;
    throw new CommandLineError(
      `flinkjob ${command.name}: unknown option ${token.rawName}`,
      suggestion ? `Did you mean --${suggestion}?` : seeHelp(command),
    );
  }
  if (option.type === 'boolean') {
    if (token.inlineValue) {
      throw new CommandLineError(`flinkjob ${command.name}: ${token.rawName} takes no value`, `Write ${token.rawName} alone.`);
    }
    return true;
  }
  const { value } = token;
  const placeholder = option.value ?? 'VALUE';
  if (value === undefined || value === '' || (!token.inlineValue && value.length > 1 && value.startsWith('-'))) {
    throw new CommandLineError(
      `flinkjob ${command.name}: ${token.rawName} needs a value`,
      `Write ${token.rawName} ${placeholder}: ${option.meaning}.`,
    );
  }
  if (option.choices && !option.choices.includes(value)) {
    const suggestion = nearest(value, option.choices);
    throw new CommandLineError(
      `flinkjob ${command.name}: ${token.rawName} cannot be "${value}"`,
      `${suggestion ? `Did you mean ${suggestion}? ` : ''}It is one of ${option.choices.join(', ')}.`,
    );
  }
  return value;
}

function checkPositionals(command: CommandDescription, positionals: readonly string[]): void {
  const missing = command.positionals.find((positional, index) => positional.required && positionals[index] === undefined);
  if (missing) {
    throw new CommandLineError(
      `flinkjob ${command.name}: ${missing.name} is missing (${missing.meaning})`,
      `For example: ${command.examples[0]?.line ?? usageLine(command)}`,
    );
  }
  const surplus = positionals[command.positionals.length];
  if (surplus !== undefined) {
    throw new CommandLineError(`flinkjob ${command.name}: "${surplus}" is one argument too many`, `Usage: ${usageLine(command)}`);
  }
}

function seeHelp(command: CommandDescription): string {
  return `flinkjob ${command.name} --help lists the options.`;
}

export function usageLine(command: CommandDescription): string {
  const positionals = command.positionals.map(({ name, required }) => (required ? name : `[${name}]`));
  const options = Object.keys(command.options).length > 0 ? ['[options]'] : [];
  return ['flinkjob', command.name, ...positionals, ...options].join(' ');
}

/** `--help` of one command. `program` is what people type before it. */
export function commandHelp(command: CommandDescription, program = 'flinkjob'): string {
  const asTyped = (line: string) => line.replace(/^flinkjob /, `${program} `);
  const options = Object.entries({ ...command.options, help: helpOption }).map(([name, option]): [string, string] => {
    const value = option.type === 'string' ? ` ${option.value ?? 'VALUE'}` : '';
    const also = [
      option.choices ? `one of ${option.choices.join(', ')}` : '',
      option.default === undefined ? '' : `default ${option.default}`,
    ];
    const suffix = also.filter(Boolean).join('; ');
    return [
      `${option.short ? `-${option.short}, ` : '    '}--${name}${value}`,
      `${option.meaning}${suffix ? ` (${suffix})` : ''}`,
    ];
  });
  const blocks = [
    `${command.summary}\n`,
    `Usage:\n  ${asTyped(usageLine(command))}\n`,
    ...(command.details ?? []).map((paragraph) => `${paragraph}\n`),
    command.positionals.length > 0
      ? `Arguments:\n${table(command.positionals.map(({ name, meaning }): [string, string] => [name, meaning]))}\n`
      : '',
    `Options:\n${table(options)}\n`,
    command.examples.length > 0
      ? `Examples:\n${command.examples.map(({ line, meaning }) => `  # ${meaning}\n  ${asTyped(line)}`).join('\n')}\n`
      : '',
  ];
  return blocks.filter(Boolean).join('\n');
}

/** `flinkjob help`: all commands. */
export function overviewHelp(
  commands: readonly { readonly description: Pick<CommandDescription, 'name' | 'summary'> }[],
  program: string,
): string {
  const isPlugin = program !== 'flinkjob';
  return [
    isPlugin
      ? `${program} is for whoever looks after stateful stream jobs in a cluster; what it changes, it changes in FlinkJob resources.\n`
      : 'flinkjob runs stateful stream jobs: the FlinkJob file that a cluster takes, on this machine.\n',
    `Usage:\n  ${program} COMMAND [arguments] [options]\n`,
    `Commands:\n${table(commands.map(({ description }): [string, string] => [description.name, description.summary]))}\n`,
    isPlugin
      ? 'kubectl itself does the rest: kubectl apply, delete, scale flinkjob/NAME --replicas=N, wait --for=condition=Ready.\n'
      : 'A first job:\n  flinkjob dev examples/word-count/word-count.yaml\n',
    ...(isPlugin ? [] : ['Jobs in a cluster: kubectl flinkjob, or any of its commands with --context.\n']),
    `${program} COMMAND --help explains one command, with examples.\n`,
  ].join('\n');
}

function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n');
}
