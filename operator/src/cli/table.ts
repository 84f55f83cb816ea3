import { textWidth } from './live-view/text-width.ts';

/** Pure. Columns as wide as their widest cell, two spaces between them, as `kubectl get` prints. */
export function tableLines(rows: readonly (readonly string[])[]): readonly string[] {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, column) => Math.max(...rows.map((row) => textWidth(row[column] ?? ''))));
  return rows.map((row) =>
    row
      .map((text, column) => text + ' '.repeat((widths[column] ?? 0) - textWidth(text)))
      .join('  ')
      .trimEnd(),
  );
}
