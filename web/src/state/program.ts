import { ref } from 'vue';
import { api, ApiError, ConnectionError } from '../api/client';

/// How the user calls the program on the server's machine, for lines to copy; its own name as long as that
/// is not known. Only those who were let in are told, so a page that was not may know it from before.
export const program = ref('similis');

export async function askProgram(): Promise<void> {
  try {
    program.value = (await api.server())?.command || program.value;
  } catch (error) {
    // Then under its own name.
    if (!(error instanceof ApiError) && !(error instanceof ConnectionError)) throw error;
  }
}
