import { shallowReactive, shallowReadonly } from 'vue';
import { api, ApiError, onReach } from '../api/client';

/// Whether the server answers, and lets this page in.

const state = shallowReactive({
  lost: false,
  retryInS: 0,
  checking: false,
  locked: false, // it asks for a credential: none was given, or it was started anew
});
export const connection = shallowReadonly(state);

const waitsS = [3, 5, 8, 13];
let attempt = 0;
let timer: number | undefined;
const backListeners = new Set<() => void>();

/// Called each time the server is there again after it was away or asked for a credential.
export function onBack(listener: () => void): void {
  backListeners.add(listener);
}

onReach.listener = (reached) => {
  if (reached === 'no') {
    lost();
    return;
  }
  const again = state.lost || (state.locked && reached === 'open');
  if (state.lost) window.clearInterval(timer);
  state.lost = false;
  if (reached === 'locked') state.locked = true;
  else if (reached === 'open') state.locked = false;
  if (again) for (const listener of backListeners) listener();
};

function lost(): void {
  if (state.lost) return;
  state.lost = true;
  attempt = 0;
  wait();
}

function wait(): void {
  state.retryInS = waitsS[Math.min(attempt, waitsS.length - 1)] ?? 13;
  attempt++;
  window.clearInterval(timer);
  timer = window.setInterval(() => {
    state.retryInS--;
    if (state.retryInS <= 0) void check();
  }, 1000);
}

export async function check(): Promise<void> {
  const wasLost = state.lost;
  window.clearInterval(timer);
  state.checking = true;
  try {
    await api.health();
  } catch (error) {
    // An answer that says no is an answer: onReach has seen it.
    if (!(error instanceof ApiError) && wasLost) wait();
  } finally {
    state.checking = false;
  }
}

/// For what fails without saying why, as pictures do: asks whether the server is there.
export function doubt(): void {
  if (!state.lost && !state.checking) void check();
}

window.addEventListener('online', () => {
  if (state.lost) void check();
});
