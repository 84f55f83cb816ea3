/** `850 ms`, `12 s`, `2m 14s`, `3h 05m`, `2d 04h`: at most two units, because nobody needs more at a glance. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1000) {
    return `${Math.max(0, Math.round(durationMs))} ms`;
  }
  const seconds = Math.floor(durationMs / 1000);
  if (seconds < 10) {
    return `${(Math.floor(durationMs / 100) / 10).toFixed(1)} s`;
  }
  return formatSeconds(seconds);
}

/** As `formatDuration`, but in whole seconds from zero: for ages that are redrawn every second. */
export function formatAge(durationMs: number): string {
  return formatSeconds(Math.max(0, Math.floor(durationMs / 1000)));
}

function formatSeconds(seconds: number): string {
  if (seconds < 60) {
    return `${seconds} s`;
  }
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) {
    return `${minutes}m ${pad(seconds % 60)}s`;
  }
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h ${pad(minutes % 60)}m` : `${Math.floor(hours / 24)}d ${pad(hours % 24)}h`;
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}

const sizeUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

export function formatBytes(sizeBytes: number): string {
  let value = sizeBytes;
  let unit = 0;
  while (value >= 1024 && unit < sizeUnits.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${sizeUnits[unit]}`;
}

/** `999`, `12,345`, `1.23 M`: exact while that is readable. */
export function formatCount(count: number): string {
  if (count < 1_000_000) {
    return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ',');
  }
  return count < 1_000_000_000 ? `${(count / 1_000_000).toFixed(2)} M` : `${(count / 1_000_000_000).toFixed(2)} G`;
}

export function formatRate(perSecond: number | undefined): string {
  if (perSecond === undefined) {
    return '–';
  }
  return perSecond > 0 && perSecond < 10 ? perSecond.toFixed(1) : formatCount(perSecond);
}

/** `14:03:59`, by the reader's own clock. */
export function formatTime(atMs: number): string {
  const date = new Date(atMs);
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

/** `1 restart`, `2 restarts`. */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}
