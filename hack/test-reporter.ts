import { relative } from 'node:path';
import type { TestEvent } from 'node:test/reporters';

/**
 * One line per test file, failures in full, what was skipped and why, and the closing totals. A custom reporter because the built-in ones
 * either print a line for each of many hundred tests or hide the reasons of skips.
 */
export default async function* compactReporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const files = new Map<string, FileTotals>();
  const skipped: string[] = [];
  const failures: string[] = [];
  const startedAt = performance.now();
  let passed = 0;
  let failed = 0;

  for await (const event of source) {
    if (event.type === 'test:stderr' || event.type === 'test:stdout') {
      yield event.data.message;
    } else if (event.type === 'test:pass' || event.type === 'test:fail') {
      const { data } = event;
      const file = data.file === undefined ? '?' : relative(process.cwd(), data.file);
      if (data.details.type === 'suite' || isFileItself(data.name, file)) {
        if (event.type === 'test:fail' && isFileItself(data.name, file)) {
          failures.push(failureText(file, data.name, event.data.details.error));
          failed += 1;
        }
        continue;
      }
      const totals = files.get(file) ?? { tests: 0, failed: 0, durationMs: 0 };
      files.set(file, totals);
      totals.tests += 1;
      totals.durationMs += data.nesting === 0 ? data.details.duration_ms : 0;
      if (data.skip !== undefined || data.todo !== undefined) {
        const reason = data.skip ?? data.todo;
        skipped.push(`${file}: ${data.name}: ${typeof reason === 'string' && reason !== '' ? reason : 'no reason given'}`);
      } else if (event.type === 'test:fail') {
        failed += 1;
        totals.failed += 1;
        failures.push(failureText(file, data.name, event.data.details.error));
        yield `✖ ${file}: ${data.name}\n`;
      } else {
        passed += 1;
      }
    } else if (event.type === 'test:summary' && event.data.file !== undefined) {
      const file = relative(process.cwd(), event.data.file);
      const totals = files.get(file);
      const mark = event.data.success ? '✔' : '✖';
      yield `${mark} ${file} (${totals?.tests ?? 0} tests, ${Math.round(event.data.duration_ms)} ms)\n`;
    }
  }

  for (const failure of failures) {
    yield `\n${failure}\n`;
  }
  for (const skip of skipped) {
    yield `skipped ${skip}\n`;
  }
  yield `\nℹ tests ${passed + failed + skipped.length}\nℹ pass ${passed}\nℹ fail ${failed}\nℹ skipped ${skipped.length}\n`;
  yield `ℹ duration_ms ${Math.round(performance.now() - startedAt)}\n`;
}

interface FileTotals {
  tests: number;
  failed: number;
  durationMs: number;
}

/** A file that cannot be loaded fails as a test named like the file. */
function isFileItself(name: string, file: string): boolean {
  return name.endsWith(file);
}

function failureText(file: string, name: string, error: Error | undefined): string {
  const cause = error?.cause instanceof Error ? error.cause : error;
  return `✖ ${file}: ${name}\n${String(cause?.stack ?? cause)}`;
}
