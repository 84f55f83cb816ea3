import { assert } from '../../core/assert.ts';
import { subtaskKey } from '../../core/checkpoint/subtask-key.ts';
import type { ExecutableJob } from '../../core/job-graph/executable-job.ts';
import type { JobGraph } from '../../core/job-graph/job-graph.ts';
import type { SubtaskId } from '../../core/protocol/messages.ts';
import type { Type } from '../../core/types/type.ts';
import type { ChannelCredit, ChannelFrame } from '../../transport/data/data-transport.ts';
import { type Channel, type ChannelPlan, inputChannels, outputChannels, planChannels } from './channel-plan.ts';
import { ExchangeOutbox } from './exchange-outbox.ts';
import { InputGate } from './input-gate.ts';
import { LocalOutputChannel, type OutputChannel, PagedOutputChannel } from './output-channel.ts';
import { OutputPartition } from './output-partition.ts';

export interface ThreadExchangeOptions {
  readonly graph: JobGraph;
  /** The subtasks of this thread. */
  readonly subtasks: readonly SubtaskId[];
  readonly threadIndex: number;
  readonly pageSizeBytes: number;
  /** The thread of this process that runs a subtask; undefined for another process. */
  readonly threadOf: (task: SubtaskId) => number | undefined;
  readonly postToThread: (thread: number, message: object, transfer: readonly ArrayBuffer[]) => void;
  readonly postToMain: (message: object, transfer: readonly ArrayBuffer[]) => void;
}

/** A subtask's ends of its channels. */
export interface SubtaskChannels {
  readonly input: SubtaskInput | undefined;
  readonly outputs: readonly SubtaskOutput[];
}

export interface SubtaskInput {
  readonly gate: InputGate;
  /** By input channel of the gate. */
  readonly recordTypes: readonly Type<unknown>[];
  /** By input channel of the gate: which input of the first operator it is for. */
  readonly ordinals: readonly number[];
}

/** An edge that leaves the chain. */
export interface SubtaskOutput {
  readonly operatorId: string;
  /** Undefined: the operator's main output. */
  readonly outputTag: string | undefined;
  readonly partition: OutputPartition;
}

/** All channels that begin or end in one thread, and the lines over which they leave it. */
export class ThreadExchange {
  readonly #options: ThreadExchangeOptions;
  readonly #plan: ChannelPlan;
  /** By channel number: where its elements go in this thread. */
  readonly #inputs = new Map<number, { readonly gate: InputGate; readonly inputIndex: number }>();
  readonly #gates = new Map<string, InputGate>();
  /** By channel number: the writing ends in this thread. */
  readonly #outputs = new Map<number, OutputChannel>();
  /** By thread; undefined is the main thread. */
  readonly #outboxes = new Map<number | undefined, ExchangeOutbox>();

  constructor(options: ThreadExchangeOptions) {
    this.#options = options;
    this.#plan = planChannels(options.graph);
    for (const task of options.subtasks) {
      this.#createGate(task);
    }
  }

  channelsOf(task: SubtaskId, job: ExecutableJob): SubtaskChannels {
    const gate = this.#gates.get(subtaskKey(task));
    const vertex = job.graph.vertices.find(({ id }) => id === task.vertexId);
    assert(vertex !== undefined, `no vertex '${task.vertexId}'`);
    const outputs = this.#plan.edges
      .filter(({ edge }) => edge.from === task.vertexId)
      .map((edgeChannels): SubtaskOutput => {
        const { edge } = edgeChannels;
        const implementation = edgeOf(job, edge.id);
        const partition = new OutputPartition({
          partitioning: edge.partitioning,
          edge: implementation,
          maxParallelism: consumerMaxParallelism(job.graph, edge.to),
          producerIndex: task.subtaskIndex,
          channels: outputChannels(edgeChannels, task.subtaskIndex).map((channel) =>
            this.#createOutput(channel, implementation.recordType),
          ),
        });
        return { operatorId: edge.fromOperator, outputTag: edge.outputTag, partition };
      });
    const inputs = this.#inputsOf(task);
    const recordTypes = inputs.map(({ edge }) => edgeOf(job, edge.id).recordType);
    const ordinals = inputs.map(({ edge }) => edge.inputOrdinal);
    return { input: gate === undefined ? undefined : { gate, recordTypes, ordinals }, outputs };
  }

  receiveFrames(frames: readonly ChannelFrame[]): void {
    for (const frame of frames) {
      const input = this.#inputs.get(frame.channel);
      assert(input !== undefined, `channel ${frame.channel} does not end in this thread`);
      const { gate, inputIndex } = input;
      gate.add(inputIndex, frame);
    }
  }

  receiveCredits(credits: readonly ChannelCredit[]): void {
    for (const { channel, pages } of credits) {
      const output = this.#outputs.get(channel);
      assert(output !== undefined, `channel ${channel} does not begin in this thread`);
      output.addCredits(pages);
    }
  }

  /** Posts what the tasks have produced since the last call. */
  flush(): void {
    for (const outbox of this.#outboxes.values()) {
      outbox.flush();
    }
  }

  #createGate(task: SubtaskId): void {
    const channels = this.#inputsOf(task);
    if (channels.length === 0) {
      return;
    }
    const giveCredit = channels.map((channel) => this.#creditOf(channel));
    const gate = new InputGate(channels.length, (inputIndex) => giveCredit[inputIndex]?.());
    this.#gates.set(subtaskKey(task), gate);
    for (const [inputIndex, channel] of channels.entries()) {
      this.#inputs.set(channel.number, { gate, inputIndex });
    }
  }

  #inputsOf(task: SubtaskId): readonly Channel[] {
    return this.#plan.edges
      .filter(({ edge }) => edge.to === task.vertexId)
      .flatMap((edgeChannels) => inputChannels(edgeChannels, task.subtaskIndex));
  }

  /** How the producer of a channel hears that its page was read. */
  #creditOf({ number, producer }: Channel): () => void {
    const thread = this.#options.threadOf(producer);
    if (thread === this.#options.threadIndex) {
      return () => this.#outputs.get(number)?.addCredits(1);
    }
    const outbox = this.#outboxTo(thread);
    return () => outbox.addCredit(number);
  }

  #createOutput({ number, consumer }: Channel, recordType: Type<unknown>): OutputChannel {
    const thread = this.#options.threadOf(consumer);
    const output =
      thread === this.#options.threadIndex ? this.#localOutput(number) : this.#pagedOutput(number, thread, recordType);
    this.#outputs.set(number, output);
    return output;
  }

  #localOutput(channel: number): OutputChannel {
    const input = this.#inputs.get(channel);
    assert(input !== undefined, `channel ${channel} does not end in this thread`);
    const { gate, inputIndex } = input;
    return new LocalOutputChannel((element) => gate.add(inputIndex, element));
  }

  #pagedOutput(channel: number, thread: number | undefined, recordType: Type<unknown>): OutputChannel {
    const outbox = this.#outboxTo(thread);
    return new PagedOutputChannel({
      channel,
      recordType,
      pageSizeBytes: this.#options.pageSizeBytes,
      send: (frame) => outbox.addFrame(frame),
    });
  }

  #outboxTo(thread: number | undefined): ExchangeOutbox {
    let outbox = this.#outboxes.get(thread);
    if (outbox === undefined) {
      const { postToMain, postToThread } = this.#options;
      outbox = new ExchangeOutbox(
        thread === undefined ? postToMain : (message, transfer) => postToThread(thread, message, transfer),
      );
      this.#outboxes.set(thread, outbox);
    }
    return outbox;
  }
}

function edgeOf(job: ExecutableJob, edgeId: string) {
  const edge = job.edges.get(edgeId);
  assert(edge !== undefined, `the graph has edge '${edgeId}', the job has no implementation of it`);
  return edge;
}

function consumerMaxParallelism(graph: JobGraph, vertexId: string): number {
  const vertex = graph.vertices.find(({ id }) => id === vertexId);
  assert(vertex !== undefined, `no vertex '${vertexId}'`);
  return vertex.maxParallelism;
}
