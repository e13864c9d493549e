/** A duration for people: `8 s`, `3 min 20 s`, `2 h 5 min`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** A byte count for people: `368.6 KB`, `90.9 MB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  const value = bytes / 1000 ** power;
  return `${power === 0 ? value : value.toFixed(1)} ${units[power]}`;
}

/** A count with separators: `22,713,216`. */
export function formatCount(count: number): string {
  return count.toLocaleString("en");
}

/** A share as a percentage with enough digits to tell small ones apart. */
export function formatShare(share: number): string {
  const percent = 100 * share;
  return `${percent >= 10 ? percent.toFixed(1) : percent.toPrecision(2)} %`;
}
