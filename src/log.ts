/** The log: JSON lines on stdout, or readable ones where stdout is a terminal. Lanes write through it too. */
import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';

export type { Logger } from 'pino';

export function createLog(level: string): Logger {
  // A lane's errors arrive as plain objects: those are fine as they are.
  const serializers = { err: (err: unknown) => (err instanceof Error ? pino.stdSerializers.err(err) : err) };
  if (!process.stdout.isTTY) return pino({ level, serializers });
  return pino(
    { level, serializers },
    pretty({ ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss', singleLine: true }),
  );
}
