import { JobError } from '../job-error.ts';

/** What a page of the exchange should have: larger ones cost latency, smaller ones processor time per record. */
export const pageSizeBytesMax = 32 * 1024;
/** Below it a page is little more than its head and its share of a system call. */
const pageSizeBytesMin = 2 * 1024;
/** At a channel's writing end: one that is being filled, and one that waits for credit. */
const pagesPerOutgoingChannel = 2;

/**
 * Pure. A job of many subtasks has more channels than its memory has full pages for: then pages are smaller. Throws `NetworkMemoryTooSmall` when
 * they would be too small to be worth anything.
 */
export function planPageSize(options: {
  readonly networkSizeBytes: number;
  /** Of one TaskManager: channels that begin in one of its threads and end in another thread or process, and the other way round. */
  readonly outgoingChannelCount: number;
  readonly incomingChannelCount: number;
  /** Pages that may wait at a channel's reading end. */
  readonly creditsPerChannel: number;
}): number {
  const { networkSizeBytes, outgoingChannelCount, incomingChannelCount, creditsPerChannel } = options;
  const pageCountMax = outgoingChannelCount * pagesPerOutgoingChannel + incomingChannelCount * creditsPerChannel;
  const sizeBytes = Math.floor(networkSizeBytes / Math.max(1, pageCountMax));
  if (sizeBytes < pageSizeBytesMin) {
    const neededMebibytes = Math.ceil((pageCountMax * pageSizeBytesMin) / 2 ** 20);
    throw new JobError(
      `${Math.floor(networkSizeBytes / 2 ** 20)} MiB for record pages are too little for ${outgoingChannelCount + incomingChannelCount} channels of one TaskManager: they need ${neededMebibytes} MiB`,
      {
        domain: 'user',
        retry: 'never',
        code: 'NetworkMemoryTooSmall',
        remedy: `A tenth of spec.taskManager.resources.limits.memory is for pages: raise it to ${10 * neededMebibytes}Mi or more, lower the parallelism, or use more TaskManagers.`,
      },
    );
  }
  return Math.min(sizeBytes, pageSizeBytesMax);
}
