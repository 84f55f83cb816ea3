import { type Document, isMap, isNode, isPair, isScalar, LineCounter, parseAllDocuments } from 'yaml';

/** What is wrong at one place of a YAML file. */
export interface YamlProblem {
  readonly message: string;
  readonly remedy: string | undefined;
  /** From 1; undefined when the problem has no place (an empty file). */
  readonly line: number | undefined;
  readonly column: number | undefined;
}

export type YamlPath = readonly (string | number)[];

/** A YAML text as plain data that still knows where everything stood. */
export interface YamlSource {
  readonly value: unknown;
  /**
   * Where the value at `path` stands, or its key when `of` says so. A path that does not exist gives the nearest parent's key: that is
   * where the missing field belongs.
   */
  position(path: YamlPath, of: 'key' | 'value'): { readonly line: number; readonly column: number } | undefined;
}

export type YamlResult =
  | { readonly ok: true; readonly source: YamlSource }
  | { readonly ok: false; readonly problems: readonly YamlProblem[] };

/** Reads a file that holds exactly one document. */
export function parseYaml(text: string): YamlResult {
  const lineCounter = new LineCounter();
  const parsed = parseAllDocuments(text, { lineCounter, prettyErrors: false, uniqueKeys: true });
  const documents = (Array.isArray(parsed) ? (parsed as readonly Document.Parsed[]) : []).filter(
    (document) => document.errors.length > 0 || (document.contents !== null && document.toJS() !== null),
  );
  const problems = documents.flatMap((document) =>
    document.errors.map((error): YamlProblem => {
      const { line, col } = lineCounter.linePos(error.pos[0]);
      return { message: firstLine(error.message), remedy: syntaxRemedy(text, error.pos[0], error), line, column: col };
    }),
  );
  if (problems.length > 0) {
    return { ok: false, problems };
  }
  const [document, second] = documents;
  if (document === undefined) {
    return {
      ok: false,
      problems: [
        {
          message: 'the file is empty',
          remedy: 'Write a FlinkJob into it; examples/word-count shows one.',
          line: undefined,
          column: undefined,
        },
      ],
    };
  }
  if (second !== undefined) {
    const { line, col } = lineCounter.linePos(second.range[0]);
    return {
      ok: false,
      problems: [
        {
          message: `the file has ${documents.length} documents, and one is expected`,
          remedy: 'Put each FlinkJob into a file of its own.',
          line,
          column: col,
        },
      ],
    };
  }
  return { ok: true, source: yamlSource(document, lineCounter) };
}

function yamlSource(document: Document.Parsed, lineCounter: LineCounter): YamlSource {
  return {
    value: document.toJS(),
    position(path, of) {
      const offset = offsetOf(document, path, of);
      if (offset === undefined) {
        return undefined;
      }
      const { line, col } = lineCounter.linePos(offset);
      return { line, column: col };
    },
  };
}

function offsetOf(document: Document.Parsed, path: YamlPath, of: 'key' | 'value'): number | undefined {
  let node: unknown = document.contents;
  let keyOffset = document.contents?.range?.[0];
  for (const step of path) {
    const pair = isMap(node)
      ? node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(step))
      : undefined;
    const child: unknown = isPair(pair) ? pair.value : isMap(node) ? undefined : childOf(node, step);
    if (pair === undefined && child === undefined) {
      return keyOffset;
    }
    keyOffset = startOf(pair?.key) ?? startOf(child) ?? keyOffset;
    node = child;
  }
  return of === 'value' ? (startOf(node) ?? keyOffset) : keyOffset;
}

function childOf(node: unknown, step: string | number): unknown {
  const items = isNode(node) && 'items' in node && Array.isArray(node.items) ? (node.items as readonly unknown[]) : [];
  return items[Number(step)];
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}

function firstLine(message: string): string {
  return message.split('\n')[0] ?? message;
}

/** The library's messages are exact but speak of the grammar; these say what a person does. */
function syntaxRemedy(text: string, offset: number, { code, message }: { code: string; message: string }): string | undefined {
  const lineStart = text.lastIndexOf('\n', offset - 1) + 1;
  if (code === 'TAB_AS_INDENT' || text.slice(lineStart).match(/^\s*\t/)) {
    return 'Indent with spaces; YAML allows no tabs.';
  }
  if (message.startsWith('Flow ')) {
    return 'Close the bracket or brace that was opened above.';
  }
  switch (code) {
    case 'DUPLICATE_KEY':
      return 'Keep one of the two.';
    case 'BAD_INDENT':
      return 'Give this line the same indent as its siblings.';
    case 'BLOCK_AS_IMPLICIT_KEY':
    case 'MULTILINE_IMPLICIT_KEY':
      return 'Quote the value if it holds a colon, or look at the indent of this line and the one above.';
    case 'MISSING_CHAR':
      return 'Close the quote or bracket.';
    default:
      return undefined;
  }
}

/** `file:12:5 message`, the line itself with a mark below, and the remedy. */
export function formatYamlProblem(fileName: string, text: string, problem: YamlProblem): readonly string[] {
  const { line, column } = problem;
  const place = line === undefined ? fileName : `${fileName}:${line}:${column ?? 1}`;
  const lines = [`${place}: ${problem.message}`];
  const quoted = line === undefined ? undefined : text.split('\n')[line - 1]?.replace(/\r$/, '');
  if (quoted?.trim()) {
    const gutter = String(line);
    lines.push(
      `  ${gutter} | ${quoted.replaceAll('\t', ' ')}`,
      `  ${' '.repeat(gutter.length)} | ${' '.repeat((column ?? 1) - 1)}^`,
    );
  }
  if (problem.remedy) {
    lines.push(`  ${problem.remedy}`);
  }
  return lines;
}
