import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCronSchedule, latestRunMs, nextRunMs } from './cron-schedule.ts';
import { parseFlinkJobSpec } from './parse-flink-job.ts';

// Times of schedules, and the words for one that is none. The arithmetic is croner's; what is tested is what we rely on.

const at = (text: string) => Date.parse(text);
const iso = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString());

test('the latest run is the one at this very millisecond, or else the one before', () => {
  const times = { schedule: '0 3 * * *', timeZone: 'UTC' };
  assert.equal(iso(latestRunMs(times, at('2026-03-02T03:00:00Z'))), '2026-03-02T03:00:00.000Z');
  assert.equal(iso(latestRunMs(times, at('2026-03-02T02:59:59.999Z'))), '2026-03-01T03:00:00.000Z');
  assert.equal(iso(nextRunMs(times, at('2026-03-02T03:00:00Z'))), '2026-03-03T03:00:00.000Z');
});

test('a schedule follows its time zone through the change to summer time', () => {
  const times = { schedule: '30 2 * * *', timeZone: 'Europe/Berlin' };
  // On 29 March 2026 there is no 02:30 in Berlin: it comes when the hour that is left out is over.
  assert.equal(iso(nextRunMs(times, at('2026-03-28T12:00:00Z'))), '2026-03-29T01:00:00.000Z');
  assert.equal(iso(nextRunMs(times, at('2026-03-29T12:00:00Z'))), '2026-03-30T00:30:00.000Z');
});

for (const text of ['* * * *', '0 0 3 * * *', '@daily', '61 * * * *', 'a b c d e', '0 3 30 2 *', '']) {
  test(`${JSON.stringify(text)} is no schedule`, () => {
    assert.equal(isCronSchedule(text), false);
  });
}

const spec = { job: { module: '/app/job.js' }, state: { checkpointStorage: 'file:///checkpoints' } };

test('a schedule that cannot be is answered in words, once', () => {
  const problems = (savepoints: object) => {
    const parsed = parseFlinkJobSpec({ ...spec, savepoints });
    return parsed.ok ? [] : parsed.problems.map(({ message }) => message);
  };
  assert.deepEqual(problems({ schedule: '0 3 * *' }), [
    'spec.savepoints.schedule: expected five fields: minute, hour, day of month, month, day of week, got "0 3 * *"',
  ]);
  assert.deepEqual(problems({ schedule: '0 25 * * *' }), [
    'spec.savepoints.schedule: expected a cron schedule that comes up: minute, hour, day of month, month, day of week, got "0 25 * * *"',
  ]);
  assert.deepEqual(problems({ schedule: '0 3 * * *', timeZone: 'Mars/Olympus' }), [
    'spec.savepoints.timeZone: expected a time zone of the IANA database, got "Mars/Olympus"',
  ]);
  assert.deepEqual(problems({ schedule: '0 3 * * MON-FRI', drill: { schedule: '0 5 * * 0' } }), []);
});
