// What MimiVoice.cs uses of Unity, as Unity's manual describes it, with a microphone that hears a recording.
using System;

namespace UnityEngine
{
    public class Component
    {
        public T GetComponent<T>() where T : new() => new T();
    }

    public class MonoBehaviour : Component
    {
        public bool enabled = true;
    }

    public class AudioSource : MonoBehaviour
    {
        public static int plays;

        public void Play() => plays++;
    }

    [AttributeUsage(AttributeTargets.Class)]
    public class RequireComponent : Attribute
    {
        public RequireComponent(Type type) { }
    }

    public class TextAsset
    {
        public byte[] bytes;
    }

    public static class AudioSettings
    {
        public delegate void AudioConfigurationChangeHandler(bool deviceWasChanged);
        public static event AudioConfigurationChangeHandler OnAudioConfigurationChanged;
        public static int outputSampleRate = 48000;

        public static void Change(int rate)
        {
            outputSampleRate = rate;
            OnAudioConfigurationChanged?.Invoke(true);
        }
    }

    public static class Debug
    {
        public static string warnings = "";

        public static void LogError(object message) => throw new Exception(message.ToString());
        public static void LogWarning(object message) => warnings += message + "\n";
    }

    /// A ring of a second, in stereo.
    public class AudioClip
    {
        public int frequency = 24000, channels = 2, samples = 24000;
        public float[] ring = new float[48000];

        public bool GetData(float[] data, int offset)
        {
            for (int i = 0; i < data.Length; i++)
                data[i] = ring[(offset * channels + i) % ring.Length];
            return true;
        }
    }

    public static class Microphone
    {
        private static AudioClip clip;
        private static int position;
        public static int ended;

        public static AudioClip Start(string device, bool loop, int seconds, int rate) => clip = new AudioClip();
        public static int GetPosition(string device) => position;
        public static void End(string device) => ended++;

        public static void Hear(float sample)
        {
            clip.ring[2 * position] = sample;
            clip.ring[2 * position + 1] = 9; // the other channel is not what is sent
            position = (position + 1) % clip.samples;
        }
    }
}
