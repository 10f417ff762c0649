/** Whether a browser has a network. Elsewhere nobody tells, and it always has. */

interface Page {
  navigator?: { onLine?: boolean };
  addEventListener?(type: 'online', listener: () => void): void;
  removeEventListener?(type: 'online', listener: () => void): void;
}

const page = globalThis as unknown as Page;

export function isOffline(): boolean {
  return page.navigator?.onLine === false;
}

/** Waits so many milliseconds, or until the signal is aborted, or until the network is back: then true. */
export function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  return new Promise(resolve => {
    const end = (isBack: boolean): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', passed);
      page.removeEventListener?.('online', back);
      resolve(isBack);
    };
    const passed = (): void => end(false);
    const back = (): void => end(true);
    const timer = setTimeout(passed, ms);
    signal.addEventListener('abort', passed);
    page.addEventListener?.('online', back);
    if (signal.aborted) passed();
  });
}
