import type { TestEvent } from 'node:test/reporters';

/** Writes `{ passed, failed, skipped }` as JSON: what `hack/test.ts` adds up over its stages. */
export default async function* totalsReporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const totals = { passed: 0, failed: 0, skipped: 0 };
  for await (const event of source) {
    if (event.type === 'test:summary' && event.data.file === undefined) {
      const { counts } = event.data;
      totals.passed = counts.passed;
      totals.skipped = counts.skipped + counts.todo;
      totals.failed = counts.tests - counts.passed - counts.skipped - counts.todo;
    }
  }
  yield JSON.stringify(totals);
}
