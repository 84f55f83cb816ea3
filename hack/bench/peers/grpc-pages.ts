import {
  Client,
  type ClientDuplexStream,
  credentials,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
} from '@grpc/grpc-js';
import type { ChannelCredit, DataTransport } from '../../../runtime/src/transport/data/data-transport.ts';

/**
 * What the exchange is measured against: pages as gRPC messages, as lean as gRPC allows, with bytes passed through instead of protobuf. Good
 * enough to carry pages and credits between two processes of a benchmark, and no more.
 */
export const grpcPages: DataTransport = {
  listen: async ({ host, port, onStream }) => {
    const server = new Server(options);
    server.addService(
      { open: method },
      {
        open: (call: ServerDuplexStream<Buffer, Buffer>) => {
          onStream({
            hello: { token: { epoch: 1, executionAttempt: 1 }, taskManagerId: 'producer' },
            accept: ({ onFrames, onLost }) => {
              call.on('data', (message: Buffer) =>
                onFrames([
                  {
                    type: 'Page',
                    channel: message.readUInt32LE(0),
                    recordCount: message.readUInt32LE(4),
                    // A page owns its buffer, so that it can go to another thread.
                    records: new Uint8Array(message.subarray(8)),
                  },
                ]),
              );
              call.on('error', (error) => onLost(error.message));
            },
            sendCredits: (credits) => void call.write(encodeCredits(credits)),
            close: () => call.end(),
          });
        },
      },
    );
    const boundPort = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    return { address: `${host}:${boundPort}`, close: async () => server.forceShutdown() };
  },

  open: async ({ address, onCredits, onLost }) => {
    const client = new Client(address, credentials.createInsecure(), options);
    const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
    );
    call.on('data', (message: Buffer) => onCredits(decodeCredits(message)));
    call.on('error', (error) => onLost(error.message));
    return {
      send: (frames) => {
        for (const frame of frames) {
          if (frame.type === 'Page') {
            const head = Buffer.allocUnsafe(8);
            head.writeUInt32LE(frame.channel, 0);
            head.writeUInt32LE(frame.recordCount, 4);
            call.write(Buffer.concat([head, frame.records]));
          }
        }
      },
      close: () => {
        call.cancel();
        client.close();
      },
    };
  },
};

const options = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };

const method: MethodDefinition<Buffer, Buffer> = {
  path: '/bench.Pages/Open',
  requestStream: true,
  responseStream: true,
  requestSerialize: (message) => message,
  requestDeserialize: (message) => message,
  responseSerialize: (message) => message,
  responseDeserialize: (message) => message,
};

function encodeCredits(credits: readonly ChannelCredit[]): Buffer {
  const message = Buffer.allocUnsafe(8 * credits.length);
  credits.forEach(({ channel, pages }, index) => {
    message.writeUInt32LE(channel, 8 * index);
    message.writeUInt32LE(pages, 8 * index + 4);
  });
  return message;
}

function decodeCredits(message: Buffer): readonly ChannelCredit[] {
  return Array.from({ length: message.length / 8 }, (_, index) => ({
    channel: message.readUInt32LE(8 * index),
    pages: message.readUInt32LE(8 * index + 4),
  }));
}
