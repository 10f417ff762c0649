/** The command `threadgate`, or a script, in a process of its own. Killed when its test is over, if it still lives. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const CLI = fileURLToPath(new URL('../../dist/src/cli.js', import.meta.url));

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface LogLine {
  level: number;
  msg: string;
  [field: string]: unknown;
}

export class Child {
  stdout = '';
  stderr = '';
  /** Resolves when the process is gone and all of its output was read. */
  readonly ended: Promise<Ended>;
  private over = false;
  private wake: () => void = () => {};

  constructor(readonly process: ChildProcess) {
    process.stdout?.on('data', (chunk: Buffer) => {
      this.stdout += chunk.toString();
      this.wake();
    });
    process.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
      this.wake();
    });
    this.ended = new Promise(resolve => {
      process.on('close', (code, signal) => {
        this.over = true;
        this.wake();
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  /** Waits until the process has written what `look` looks for. Rejects when it ends before. */
  async says<T>(look: (stdout: string, stderr: string) => T | undefined): Promise<T> {
    for (;;) {
      const found = look(this.stdout, this.stderr);
      if (found !== undefined) return found;
      if (this.over) throw new Error(`it ended, having said:\n${this.stdout}\n${this.stderr}`);
      await new Promise<void>(resolve => {
        this.wake = resolve;
      });
    }
  }

  /** The port that a gateway's log says that it listens on. */
  port(): Promise<number> {
    return this.says(stdout => {
      const port = /listening on http:\/\/[^:"\s]+:(\d+)/.exec(stdout)?.[1];
      return port === undefined ? undefined : Number(port);
    });
  }

  get log(): LogLine[] {
    const whole = this.stdout.slice(0, this.stdout.lastIndexOf('\n') + 1);
    return whole
      .split('\n')
      .filter(line => line.startsWith('{'))
      .map(line => JSON.parse(line) as LogLine);
  }

  /** The first log line with that text. */
  logged(text: string): Promise<LogLine> {
    return this.says(() => this.log.find(line => line.msg.includes(text)));
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }
}

/** Starts node with these arguments. Nothing of this process's THREADGATE_… variables gets there. */
export function startNode(args: string[], env: Record<string, string> = {}, cwd = ROOT): Child {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('THREADGATE_') && name !== 'NODE_OPTIONS' && name !== 'VITEST',
  );
  const started = spawn(process.execPath, args, {
    cwd,
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const child = new Child(started);
  onTestFinished(async () => {
    if (started.exitCode === null && started.signalCode === null) started.kill('SIGKILL');
    await child.ended;
  });
  return child;
}

/** Starts the command. Without --port and --admin-port among the arguments: any free port, and none. */
export function startCommand(args: string[], env: Record<string, string> = {}, cwd = ROOT): Child {
  return startNode([CLI, ...args], { THREADGATE_PORT: '0', THREADGATE_ADMIN_PORT: '0', ...env }, cwd);
}
