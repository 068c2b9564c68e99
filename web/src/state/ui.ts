import { reactive, ref } from 'vue';

/// What of the page is open, and how much room there is.

export const ui = reactive({
  jobPanel: false,
  keys: false,
  cutoffSheet: false,
  signIn: false,
});

const narrow = window.matchMedia('(max-width: 719px)');
export const phone = ref(narrow.matches);
narrow.addEventListener('change', (event) => (phone.value = event.matches));

/// The detail panel takes the whole page where there is no room beside it.
const tight = window.matchMedia('(max-width: 999px)');
export const sheet = ref(tight.matches);
tight.addEventListener('change', (event) => (sheet.value = event.matches));

let input: HTMLInputElement | null = null;

export function registerFileInput(element: HTMLInputElement | null): void {
  input = element;
}

export function chooseFile(): void {
  input?.click();
}
