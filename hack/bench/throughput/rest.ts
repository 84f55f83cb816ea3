import type { CheckpointFacts } from './engine.ts';

interface CheckpointsDocument {
  readonly history: readonly {
    readonly status: string;
    readonly trigger_timestamp: number;
    readonly end_to_end_duration: number;
    readonly checkpointed_size: number;
    readonly state_size: number;
  }[];
}

/** `GET /jobs/:id/checkpoints`, which both engines serve in one shape. */
export async function checkpointHistory(restUrl: string, jobId: string): Promise<readonly CheckpointFacts[]> {
  const { history } = (await getJson(`${restUrl}/jobs/${jobId}/checkpoints`)) as CheckpointsDocument;
  return history.map((entry) => ({
    state: entry.status === 'COMPLETED' ? 'Completed' : entry.status === 'IN_PROGRESS' ? 'InProgress' : 'Failed',
    triggeredAtMs: entry.trigger_timestamp,
    durationMs: entry.end_to_end_duration,
    writtenBytes: entry.checkpointed_size,
    stateBytes: entry.state_size,
  }));
}

export async function getJson(url: string): Promise<unknown> {
  return answerOf(url, await fetch(url));
}

export async function postJson(url: string, body: object): Promise<unknown> {
  const headers = { 'content-type': 'application/json' };
  return answerOf(url, await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) }));
}

export async function answerOf(url: string, response: Response): Promise<unknown> {
  const text = await response.text();
  if (!response.ok) {
    throw new Error(`${url} answered ${response.status}: ${text.slice(0, 4000)}`);
  }
  return text === '' ? {} : JSON.parse(text);
}
