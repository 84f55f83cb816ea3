import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics } from './metrics.ts';

test('counters count per set of labels, gauges are read when somebody looks', () => {
  const metrics = new Metrics();
  const requests = metrics.counter('api_requests_total', 'Requests.');
  requests.add({ method: 'GET', status: '200' });
  requests.add({ status: '200', method: 'GET' });
  metrics.counter('api_requests_total', 'Requests.').add({ method: 'PUT', status: '409' }, 3);
  let depth = 1;
  metrics.gauge('queue_depth', 'Waiting.', () => [{ value: depth }]);
  depth = 7;
  assert.equal(
    metrics.text(),
    `# HELP flinkjob_operator_api_requests_total Requests.
# TYPE flinkjob_operator_api_requests_total counter
flinkjob_operator_api_requests_total{method="GET",status="200"} 2
flinkjob_operator_api_requests_total{method="PUT",status="409"} 3
# HELP flinkjob_operator_queue_depth Waiting.
# TYPE flinkjob_operator_queue_depth gauge
flinkjob_operator_queue_depth 7
`,
  );
});
