/** Jobs as an app may have them. */
import type { JobContext } from 'threadgate';

export function double(value: number): number {
  return value * 2;
}

export async function render(page: { title: string }, context: JobContext): Promise<Uint8Array> {
  const bytes = new TextEncoder().encode(page.title);
  context.transfer(bytes.buffer);
  return bytes;
}

export function tick(): void {}
