import { shallowReactive, shallowReadonly } from 'vue';
import { api, ApiError, onReach } from '../api/client';

const state = shallowReactive({ lost: false, retryInS: 0, checking: false });
export const connection = shallowReadonly(state);

const waitsS = [3, 5, 8, 13];
let attempt = 0;
let timer: number | undefined;
const backListeners = new Set<() => void>();

/// Called each time the server is there again after it was away.
export function onBack(listener: () => void): void {
  backListeners.add(listener);
}

onReach.listener = (reached) => {
  if (reached) back();
  else lost();
};

function lost(): void {
  if (state.lost) return;
  state.lost = true;
  attempt = 0;
  wait();
}

function back(): void {
  if (!state.lost) return;
  state.lost = false;
  window.clearInterval(timer);
  for (const listener of backListeners) listener();
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
  window.clearInterval(timer);
  state.checking = true;
  try {
    await api.health();
  } catch (error) {
    // An answer that says no is an answer: onReach has seen it.
    if (!(error instanceof ApiError)) wait();
  } finally {
    state.checking = false;
  }
}

window.addEventListener('online', () => {
  if (state.lost) void check();
});
