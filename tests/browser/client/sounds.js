/** @file Sounds for the audio player. */

const RATE = 8000;

/**
 * Return a WAV file of silence, with samples of 8 bits.
 *
 * @param {number} seconds
 */
export function wav(seconds) {
  const samples = Buffer.alloc(seconds * RATE, 0x80);
  const header = Buffer.alloc(44);
  header.write("RIFF");
  header.writeUInt32LE(36 + samples.length, 4);
  header.write("WAVEfmt ", 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20); // PCM
  header.writeUInt16LE(1, 22); // channels
  header.writeUInt32LE(RATE, 24);
  header.writeUInt32LE(RATE, 28); // bytes per second
  header.writeUInt16LE(1, 32); // bytes per sample
  header.writeUInt16LE(8, 34);
  header.write("data", 36);
  header.writeUInt32LE(samples.length, 40);
  return Buffer.concat([header, samples]);
}

/** The audio of a caption that has its sound in it. */
export const clip = (sound) => ({ data: sound.toString("base64"), contentType: "audio/wav" });
