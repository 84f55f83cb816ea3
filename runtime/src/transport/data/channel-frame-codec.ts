import type { MessageInitShape } from '@bufbuild/protobuf';
import { assert, unreachable } from '../../core/assert.ts';
import type { ChannelFrameSchema, ChannelFrame as ChannelFrameWire } from '../../gen/flinkjob/runtime/v1/exchange_pb.ts';
import type { ChannelFrame } from './data-transport.ts';

export function encodeFrame(frame: ChannelFrame): MessageInitShape<typeof ChannelFrameSchema> {
  const { channel } = frame;
  switch (frame.type) {
    case 'Page':
      return { channel, frame: { case: 'page', value: { recordCount: frame.recordCount, records: frame.records } } };
    case 'Barrier': {
      const { checkpointId, directory, stopSources, format, mode } = frame.barrier;
      return {
        channel,
        frame: {
          case: 'barrier',
          value: {
            checkpointId: BigInt(checkpointId),
            directory,
            stopSources,
            isCanonical: format === 'Canonical',
            isAtLeastOnce: mode === 'AtLeastOnce',
          },
        },
      };
    }
    case 'Watermark':
      return {
        channel,
        frame: { case: 'watermark', value: { timestampMs: BigInt(frame.timestampMs), isIdle: frame.isIdle } },
      };
    case 'End':
      return { channel, frame: { case: 'end', value: {} } };
    default:
      return unreachable(frame);
  }
}

export function decodeFrame({ channel, frame }: ChannelFrameWire): ChannelFrame {
  assert(frame.case, 'a channel frame without content');
  switch (frame.case) {
    case 'page':
      // A copy: the message's buffer is larger, and a page must own its buffer to be transferred.
      return { type: 'Page', channel, recordCount: frame.value.recordCount, records: new Uint8Array(frame.value.records) };
    case 'barrier': {
      const { checkpointId, directory, stopSources, isCanonical, isAtLeastOnce } = frame.value;
      return {
        type: 'Barrier',
        channel,
        barrier: {
          checkpointId: Number(checkpointId),
          directory,
          stopSources,
          format: isCanonical ? 'Canonical' : 'Native',
          mode: isAtLeastOnce ? 'AtLeastOnce' : 'ExactlyOnce',
        },
      };
    }
    case 'watermark':
      return { type: 'Watermark', channel, timestampMs: Number(frame.value.timestampMs), isIdle: frame.value.isIdle };
    case 'end':
      return { type: 'End', channel };
    default:
      return unreachable(frame);
  }
}
