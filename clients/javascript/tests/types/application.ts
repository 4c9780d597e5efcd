/** An application in TypeScript. It is checked, and never runs. */

import {
  type Caption,
  type Gap,
  Listener,
  type ListenerOptions,
  type Membership,
  type SentCaption,
  SessionError,
  type SessionStatus,
  Speaker,
  type StateEvent,
  inviteLink,
  readInviteLink,
} from "broadcast-sessions-client";
import { AudioPlayer } from "broadcast-sessions-client/audio";
import { LANGUAGES, findLanguage } from "broadcast-sessions-client/languages";
import { Listener as ListenerAlone } from "broadcast-sessions-client/listener";
import { SignIn } from "broadcast-sessions-client/sign-in";
import { Speaker as SpeakerAlone } from "broadcast-sessions-client/speaker";

const url = "wss://live.example.com";

export async function listen(): Promise<string> {
  const link = readInviteLink(location.href);
  if (!link) throw new Error("The link names no session");
  const language: string = findLanguage(navigator.language, { withVoice: true }) ?? "en";
  const options: ListenerOptions = { ...link, language };
  const listener: ListenerAlone = new Listener(url, options);
  const remove: () => void = listener.on("state", (event: StateEvent) => {
    const { state, reason, retryInSeconds } = event;
    if (state === "reconnecting") console.log(reason?.toUpperCase(), retryInSeconds?.toFixed(1));
    // @ts-expect-error There is no such state.
    if (state === "connected") remove();
  });
  listener.on("caption", ({ seq, text, durationMs, audio }: Caption) => {
    console.log(seq.toFixed(), text.trim(), durationMs?.toFixed());
    if (audio && "url" in audio) console.log(audio.url.length);
  });
  listener.on("gap", ({ language, afterSeq, count }: Gap) =>
    console.log(language, afterSeq + count),
  );
  const player = new AudioPlayer(listener, { element: new Audio() });
  player.on("skip", ({ count, reason }) => console.log(count.toFixed(), reason === "behind"));
  // @ts-expect-error There is no such event.
  player.on("caption", () => {});
  player.unlock();
  player.close();
  // @ts-expect-error A listener has no events about the audience.
  listener.on("audience", () => {});
  try {
    const { id, sourceLanguage, status }: Membership = await listener.join();
    if (status === "paused") console.log(id.length, sourceLanguage.length);
  } catch (error) {
    if (!(error instanceof SessionError)) throw error;
    if (error.code === "UNSUPPORTED_LANGUAGE") console.log(error.details.supported);
    // @ts-expect-error There is no such code.
    if (error.code === "NOT_FOUND") listener.close();
    const seconds: number | null = error.retryAfterSeconds;
    const temporary: boolean = error.temporary;
    console.log(seconds, temporary);
  }
  listener.playing = true;
  const { length, dropped } = listener.buffer;
  console.log(length + dropped);
  return listener.changeLanguage("fr");
}

export async function speak(): Promise<void> {
  const signIn = new SignIn({ url, clientId: "1", redirectUrl: location.href });
  const signedIn: boolean = (await signIn.finish()) || signIn.isSignedIn;
  if (!signedIn) return signIn.start();
  const speaker: SpeakerAlone = new Speaker(url, { token: signIn.token });
  speaker.on("audience", ({ listenerCount, languages }) =>
    console.log(listenerCount, languages.es),
  );
  if (speaker.lastSession) {
    const { status } = await speaker.takeOver(speaker.lastSession);
    if (status === "paused") await speaker.resume();
  } else {
    const session = await speaker.create("en", { admission: "invited" });
    // @ts-expect-error There is no such tier.
    await speaker.create("en", { qualityTier: "best" });
    console.log(inviteLink("https://listen.example.org/", session), session.expiresAt.toFixed());
  }
  const { captionId, seq }: SentCaption = await speaker.sendCaption("Good morning");
  await speaker.sendCaption("Good morning", { captionId });
  // @ts-expect-error A caption has a text.
  await speaker.sendCaption(seq);
  await speaker.pause();
  const { listenerCount, createdAt }: SessionStatus = await speaker.status();
  console.log(listenerCount, createdAt, (await speaker.rotateInviteCode()).length);
  await speaker.end();
  speaker.close();
}

export const options: string[] = LANGUAGES.filter(({ hasVoice }) => hasVoice).map(
  ({ code, name }) => `${name} (${code})`,
);

new Speaker(url, { token: async () => "token" });
new Speaker(url, { token: "token", storage: null, WebSocket });
// @ts-expect-error The language is missing.
new Listener(url, { session: "golden-eagle-427" });
