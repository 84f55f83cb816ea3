// Record pages between two processes on loopback through the runtime's own transports: CPU of both ends together per page. Run by
// `npm run bench -- data-transport`; the same file is the producing process.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { DataTransport } from '../../runtime/src/transport/data/data-transport.ts';
import { tcpDataTransport } from '../../runtime/src/transport/data/tcp-data-transport.ts';
import { grpcPages } from './peers/grpc-pages.ts';
import type { Measurement } from './repeated-measurement.ts';

const transports: Readonly<Record<string, DataTransport>> = { gRPC: grpcPages, TCP: tcpDataTransport };
const pageSizeBytes = 32 * 1024;
const channelCount = 16;
const creditsPerChannel = 2;
const hello = { token: { epoch: 1, executionAttempt: 1 }, taskManagerId: 'producer' };

const pageCount = 10_000;

/** One run of each; `cpuRatio` is what a page costs over gRPC for each unit over TCP. */
export async function measureDataTransport(): Promise<Measurement> {
  const tcp = await measure('TCP');
  const grpc = await measure('gRPC');
  return {
    tcpCpuMicrosPerPage: tcp.cpuMicrosPerPage,
    tcpMegabytesPerSecond: tcp.megabytesPerSecond,
    grpcCpuMicrosPerPage: grpc.cpuMicrosPerPage,
    grpcMegabytesPerSecond: grpc.megabytesPerSecond,
    cpuRatio: grpc.cpuMicrosPerPage / tcp.cpuMicrosPerPage,
  };
}

interface Run {
  readonly cpuMicrosPerPage: number;
  readonly megabytesPerSecond: number;
}

async function measure(name: string): Promise<Run> {
  const transport = transportOf(name);
  const done = Promise.withResolvers<void>();
  let received = 0;
  const listener = await transport.listen({
    host: '127.0.0.1',
    port: 0,
    onStream: (stream) =>
      stream.accept({
        onFrames: (frames) => {
          stream.sendCredits(frames.map(({ channel }) => ({ channel, pages: 1 })));
          received += frames.length;
          if (received === pageCount) {
            done.resolve();
          }
        },
        onLost: (reason) => done.reject(new Error(reason)),
      }),
  });
  const producer = fork(fileURLToPath(import.meta.url), [name, listener.address]);
  const cpuBefore = process.cpuUsage();
  const startedAtMs = performance.now();
  await done.promise;
  const seconds = (performance.now() - startedAtMs) / 1000;
  const own = process.cpuUsage(cpuBefore);
  producer.send('report');
  const [cpu] = (await once(producer, 'message')) as [NodeJS.CpuUsage];
  await once(producer, 'exit');
  await listener.close();
  const cpuMicros = own.user + own.system + cpu.user + cpu.system;
  return { cpuMicrosPerPage: cpuMicros / pageCount, megabytesPerSecond: (pageCount * pageSizeBytes) / 1e6 / seconds };
}

/** Fills a page for each credit, as a task does. */
async function produce(name: string, address: string): Promise<void> {
  let sent = 0;
  const credits = Array.from({ length: channelCount }, () => creditsPerChannel);
  const send = (): void => {
    const frames = [];
    for (let channel = 0; channel < channelCount; channel++) {
      for (; (credits[channel] ?? 0) > 0 && sent < pageCount; sent++) {
        credits[channel] = (credits[channel] ?? 0) - 1;
        frames.push({ type: 'Page' as const, channel, recordCount: 300, records: new Uint8Array(pageSizeBytes).fill(sent) });
      }
    }
    if (frames.length > 0) {
      stream.send(frames);
    }
  };
  const stream = await transportOf(name).open({
    address,
    hello,
    signal: new AbortController().signal,
    onCredits: (granted) => {
      for (const { channel, pages } of granted) {
        credits[channel] = (credits[channel] ?? 0) + pages;
      }
      send();
    },
    onLost: () => {},
  });
  const cpuBefore = process.cpuUsage();
  send();
  await once(process, 'message');
  process.send?.(process.cpuUsage(cpuBefore));
  stream.close('the measurement is over');
  process.disconnect();
}

function transportOf(name: string): DataTransport {
  const transport = transports[name];
  if (transport === undefined) {
    throw new Error(`there is no transport ${name}`);
  }
  return transport;
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  const [name = '', address = ''] = process.argv.slice(2);
  await produce(name, address);
}
