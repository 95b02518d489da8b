// Program MODEL SPEECH.f32 HASH: the binding of Unity on Mono, with speech whose codes have this hash.
// Program MODEL: with a library of another version, which is to be refused.
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.ExceptionServices;
using System.Threading;
using System.Threading.Tasks;
using Mimi;

static class Program
{
    const int Frame = 1920, Books = 8;

    static void Require(bool holds, string what)
    {
        if (!holds)
            throw new Exception(what);
        Console.WriteLine("    " + what);
    }

    static void Ok(int status)
    {
        if (status != Status.Ok)
            throw new Exception(Status.Text(status));
    }

    static int Main(string[] args)
    {
        if (args.Length == 1)
        {
            Throws(() => Model.Load(args[0]), Status.Unsupported, "version 0.2, and this package is for version 0.1");
            Throws(() => Model.Load(new byte[1]), Status.Unsupported, "version 0.2");
            return 0;
        }
        Console.WriteLine("    " + Model.LibraryVersion);
        var pcm = new float[new FileInfo(args[1]).Length / 4];
        Buffer.BlockCopy(File.ReadAllBytes(args[1]), 0, pcm, 0, pcm.Length * 4);
        long hash = long.Parse(args[2], NumberStyles.HexNumber);
        Errors(args[0]);
        using (var model = Model.Load(args[0]))
        {
            var codes = model.Encode(pcm);
            var audio = model.Decode(codes);
            foreach (int block in new[] { 64, 1024 })
            {
                Streams(model, pcm, codes, audio, block, hash);
                Live(model, pcm, audio, block, hash);
            }
            Garbage(model);
        }
        Voice(args[0], pcm, hash);
        return 0;
    }

    static void Errors(string path)
    {
        string unicode = Path.Combine(Path.GetTempPath(), "mimi-ž-日本-" + Guid.NewGuid());
        Throws(() => Model.Load(unicode), Status.Io, unicode);
        Directory.CreateDirectory(unicode);
        File.Copy(path, Path.Combine(unicode, "model.safetensors"));
        Model.Load(unicode).Dispose();
        Directory.Delete(unicode, true);
        try
        {
            Model.Load((string)null);
            throw new Exception("a path that is null was taken");
        }
        catch (ArgumentNullException) { }
        Throws(() => Model.Load(new byte[] { 1, 2, 3 }), Status.Format, "3 bytes");
        Throws(() => Model.Load(default(ReadOnlySpan<byte>)), Status.Format, "");
        using (var model = Model.Load(File.ReadAllBytes(path)))
        using (var o = new Options { [Option.Codebooks] = 9 })
        {
            Throws(() => new Encoder(model, o), Status.InvalidArgument, "9");
            Throws(() => model.Decode(new uint[3]), Status.InvalidArgument, "3");
            var decoder = new Decoder(model);
            var bad = new uint[] { 0, 0, 0, 0, 0, 0, 0, 9999 };
            Require(decoder.Process(bad, new float[Frame], out int n) == Status.Corrupt &&
                decoder.Get(Property.BadCodeIndex, out long at) == Status.Ok && at == 7, "a bad code is told by a status");
            Require(decoder.Process(new uint[8], new float[3], out n) == Status.BufferTooSmall && n == Frame,
                "too little room says how much it takes");
            Require(decoder.ProcessLost(2 * Books, new float[2 * Frame], out n) == Status.Ok && n == 2 * Frame &&
                decoder.Get(Property.Concealed, out long concealed) == Status.Ok && concealed == 2, "two frames concealed");
            decoder.Dispose();
            try
            {
                decoder.Reset();
                throw new Exception("a stream was used after Dispose");
            }
            catch (ObjectDisposedException) { }
        }
        for (int i = 0; i < 10; i++) // left to the finalizer, in any order
            new Capture(Model.Load(path));
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }

    static void Throws(Action action, int status, string message)
    {
        try
        {
            action();
        }
        catch (MimiException e) when (e.Status == status && e.Message.Contains(message))
        {
            Console.WriteLine("    throws: " + e.Message);
            return;
        }
        throw new Exception("did not throw as it should: " + message);
    }

    static void Streams(Model model, float[] pcm, uint[] codes, float[] audio, int block, long hash)
    {
        using (var encoder = new Encoder(model))
        using (var decoder = new Decoder(model))
        {
            var some = new uint[Books];
            var frame = new float[Frame];
            int seen = 0, heard = 0, n;
            for (int at = 0; at <= pcm.Length; at += block)
            {
                if (at + block <= pcm.Length)
                    Ok(encoder.Process(pcm.AsSpan(at, block), some, out n));
                else
                    Ok(encoder.Process(pcm.AsSpan(at), some, out n));
                Same(some.AsSpan(0, n), codes, ref seen);
                Ok(decoder.Process(some.AsSpan(0, n), frame, out n));
                Same(frame.AsSpan(0, n), audio, ref heard);
            }
            Ok(encoder.Flush(some, out n));
            Same(some.AsSpan(0, n), codes, ref seen);
            Ok(decoder.Process(some.AsSpan(0, n), frame, out n));
            Same(frame.AsSpan(0, n), audio, ref heard);
            Ok(encoder.Get(Property.CodesHash, out long encoded));
            Ok(decoder.Get(Property.CodesHash, out long decoded));
            Require(encoded == hash && decoded == hash && seen == codes.Length && heard == audio.Length,
                $"streams, blocks of {block}: codes hash {encoded:x16}, {heard} samples as in one call");
        }
    }

    static void Same<T>(Span<T> some, T[] all, ref int at) where T : IEquatable<T>
    {
        if (!some.SequenceEqual(all.AsSpan(at, some.Length)))
            throw new Exception($"differs in the block at {at}");
        at += some.Length;
    }

    // Samples to codes to samples within a callback: the delay is the sum of the latencies, and silence comes before.
    static void Live(Model model, float[] pcm, float[] audio, int block, long hash)
    {
        using (var capture = new Capture(model))
        using (var playback = new Playback(model))
        {
            Ok(capture.Get(Property.LatencySamples, out long there));
            Ok(playback.Get(Property.LatencySamples, out long back));
            var codes = new uint[Books];
            var pad = new float[block];
            var got = new float[pcm.Length / block * block + 8 * Frame / block * block];
            long frames = 0, hashed = 0;
            for (int at = 0; at + block <= got.Length; at += block)
            {
                int left = Math.Max(0, Math.Min(block, pcm.Length - at));
                Array.Clear(pad, 0, block);
                Array.Copy(pcm, Math.Min(at, pcm.Length), pad, 0, left);
                Ok(capture.Write(pad));
                Ok(capture.Read(codes, out int n));
                Ok(playback.Write(codes.AsSpan(0, n)));
                Ok(playback.Read(got.AsSpan(at, block)));
                Ok(capture.Get(Property.Frames, out frames));
                if (frames == audio.Length / Frame && n > 0)
                    Ok(capture.Get(Property.CodesHash, out hashed));
            }
            int delay = (int)(there + back);
            Ok(playback.Get(Property.Concealed, out long concealed));
            Require(hashed == hash && got.Take(delay).All(s => s == 0) && concealed == 0 &&
                got.Skip(delay).Take(audio.Length).SequenceEqual(audio),
                $"live, blocks of {block}: codes hash {hashed:x16}, audio as in one call after {delay} samples");
        }
    }

    static void Garbage(Model model)
    {
        const int calls = 1000000;
        using (var capture = new Capture(model))
        using (var playback = new Playback(model))
        using (var encoder = new Encoder(model))
        using (var decoder = new Decoder(model))
        {
            var one = new float[1];
            var codes = new uint[Books];
            var bytes = new byte[64];
            var frame = new float[Frame];
            Action<int> run = times =>
            {
                for (int i = 0; i < times; i++)
                {
                    capture.Write(one);
                    capture.Read(codes, out int n);
                    playback.Write(codes.AsSpan(0, n));
                    playback.Read(one);
                    playback.Get(Property.Concealed, out long value);
                    Packets.Pack(codes, Books, 9, bytes, out n);
                    Packets.Unpack(bytes.AsSpan(0, n), Books, 9, codes, out n);
                    encoder.Process(default(ReadOnlySpan<float>), codes, out n);
                    decoder.Process(default(ReadOnlySpan<uint>), frame, out n);
                }
            };
            run(1000); // what the runtime compiles first is its own
            GC.Collect();
            int collections = GC.CollectionCount(0);
            long memory = GC.GetTotalMemory(false);
            run(calls);
            collections = GC.CollectionCount(0) - collections;
            memory = GC.GetTotalMemory(false) - memory;
            int control = GC.CollectionCount(0);
            for (int i = 0; i < calls; i++)
                one = new float[1];
            control = GC.CollectionCount(0) - control;
            Require(collections == 0 && memory < calls / 10 && control > 0,
                $"{9 * calls} calls: no collection, {memory} bytes of garbage ({control} collections for {calls} small arrays)");
        }
    }

    // MimiVoice on a Unity of its own making: two components, 60 updates a second, filters of 1024 samples.
    static void Voice(string path, float[] pcm, long hash)
    {
        var model = new UnityEngine.TextAsset { bytes = File.ReadAllBytes(path) };
        var speaker = new MimiVoice { model = model, talks = true };
        var listener = new MimiVoice { model = model };
        int sent = 0, dropped = 0;
        var packets = new List<byte[]>();
        speaker.Packet += (packet, length) =>
        {
            packets.Add(packet.AsSpan(0, length).ToArray());
            if (++sent == 20)
                dropped++;
            else
                listener.Receive(packet.AsSpan(0, length));
        };
        Begin(speaker);
        Begin(listener);
        listener.talks = true; // too late: it listens
        var filter = new float[2 * 1024];
        double loud = 0;
        long hashed = 0, played = 0, talked = 0;
        for (int tick = 0; tick < 60 * 5; tick++)
        {
            for (int i = 0; i < 400; i++, talked++)
                UnityEngine.Microphone.Hear(talked < pcm.Length ? pcm[talked] : 0);
            Call(speaker, "Update");
            var capture = (Capture)Field(speaker, "capture");
            Ok(capture.Get(Property.Frames, out long frames));
            if (frames == (pcm.Length + Frame - 1) / Frame)
                Ok(capture.Get(Property.CodesHash, out hashed));
            for (; played < talked * 2; played += 1024)
            {
                Call(listener, "OnAudioFilterRead", filter, 2);
                for (int i = 0; i < filter.Length; i += 2)
                {
                    loud += filter[i] * filter[i];
                    if (filter[i] != filter[i + 1])
                        throw new Exception("channels differ");
                }
            }
        }
        var playback = (Playback)Field(listener, "playback");
        Ok(playback.Get(Property.Lost, out long lost));
        Ok(playback.Get(Property.Concealed, out long concealed));
        Ok(playback.Get(Property.Dropped, out long refused));
        // the same sound lasts twice the samples at 48000 Hz
        double level = Math.Sqrt(loud / 2 / pcm.Sum(s => (double)s * s));
        Require(hashed == hash && lost == dropped && concealed <= dropped && refused == 0 && level > 0.5 && level < 1.2,
            $"MimiVoice: codes hash {hashed:x16}, {sent} packets of which {lost} was lost, level {level:f2}");
        Numbers(model, packets);
        Refuse(speaker, listener, packets[0]);
        Mute(speaker, () => sent);
        Loudspeaker(listener);
        Call(speaker, "OnDestroy");
        Call(listener, "OnDestroy");
        Require(UnityEngine.Microphone.ended == 1, "the microphone is ended, also of one that was muted");
        UnityEngine.AudioSettings.Change(48000); // no one listens any more
        Loading(model);
        Call(listener, "OnAudioFilterRead", filter, 2);
    }

    static void Begin(MimiVoice voice)
    {
        Call(voice, "Start");
        voice.Receive(new byte[1]); // the model is not there yet
        for (; Field(voice, "codes") == null; Thread.Sleep(1))
            Call(voice, "Update");
        if (!voice.enabled || voice.Refused != 0)
            throw new Exception("did not begin as it should");
    }

    // A model that cannot be loaded is told once, and the next component tries again.
    static void Loading(UnityEngine.TextAsset model)
    {
        var shared = typeof(MimiVoice).GetField("shared", BindingFlags.Static | BindingFlags.NonPublic);
        shared.SetValue(null, null);
        Call(new MimiVoice(), "Update"); // quiet also where Start threw, for want of a model
        var bad = new MimiVoice { model = new UnityEngine.TextAsset { bytes = new byte[3] } };
        Throws(() => Begin(bad), Status.Format, "3 bytes");
        Call(bad, "OnDestroy");
        var good = new MimiVoice { model = model, precision = Precision.BF16 };
        Begin(good);
        Call(good, "OnDestroy");
        Require(!bad.enabled && ((Task<Model>)shared.GetValue(null)).Result.Get(Property.Precision) == 1,
            "a model that is damaged, then a good one in 16 bits");
    }

    static long Waiting(MimiVoice voice)
    {
        Ok(((Playback)Field(voice, "playback")).Get(Property.Waiting, out long waiting));
        return waiting;
    }

    // Late packets are ignored, and those of a sender that begins anew are heard.
    static void Numbers(UnityEngine.TextAsset model, List<byte[]> packets)
    {
        var listener = new MimiVoice { model = model };
        Begin(listener);
        int[] late = { 3, 5, 7, 9 };
        int[] numbers = { 65534, 65535, 0, 65534, 1, 0, 60, 11, 10, 9, 500, 0 };
        for (int i = 0; i < numbers.Length; i++)
        {
            int number = numbers[i];
            var packet = (byte[])packets[0].Clone();
            packet[0] = (byte)number;
            packet[1] = (byte)(number >> 8);
            long before = Waiting(listener);
            listener.Receive(packet);
            if (Waiting(listener) - before != (late.Contains(i) ? 0 : 1))
                throw new Exception($"packet {number}: {before} frames waited, then {Waiting(listener)}");
        }
        Require(listener.Refused == 0, "late packets are ignored, a sender that begins anew is heard");
        Call(listener, "OnDestroy");
    }

    static void Refuse(MimiVoice speaker, MimiVoice listener, byte[] packet)
    {
        listener.Receive(packet.AsSpan(1));
        listener.Receive(null);
        speaker.Receive(packet);
        string said = UnityEngine.Debug.warnings;
        Require(listener.Refused == 2 && speaker.Refused == 1 && said.Split('\n').Length == 3 &&
            said.Contains($"a packet of {packet.Length - 1} bytes, expected {packet.Length}") &&
            said.Contains("the component that talks"), "refused packets are counted, and told once");
    }

    static void Mute(MimiVoice speaker, Func<int> sent)
    {
        foreach (bool talks in new[] { true, false, true, false })
        {
            speaker.talks = talks;
            int before = sent();
            for (int i = 0; i < 5 * Frame; i++)
            {
                UnityEngine.Microphone.Hear(0);
                if (i % 480 == 479)
                    Call(speaker, "Update");
            }
            if (sent() - before != (talks ? 5 : 0))
                throw new Exception($"talks is {talks}, and {sent() - before} packets were sent");
        }
        Console.WriteLine("    a speaker can be muted");
    }

    static void Loudspeaker(MimiVoice listener)
    {
        int plays = UnityEngine.AudioSource.plays;
        object before = Field(listener, "playback");
        UnityEngine.AudioSettings.Change(44100);
        var playback = (Playback)Field(listener, "playback");
        Ok(playback.Get(Property.SampleRate, out long rate));
        Require(rate == 44100 && ((Playback)before).IsClosed && UnityEngine.AudioSource.plays == plays + 1,
            "another loudspeaker: the voice goes on at its rate");
    }

    const BindingFlags Private = BindingFlags.Instance | BindingFlags.NonPublic;

    static void Call(object target, string name, params object[] arguments)
    {
        try
        {
            target.GetType().GetMethod(name, Private).Invoke(target, arguments);
        }
        catch (TargetInvocationException e)
        {
            ExceptionDispatchInfo.Capture(e.InnerException).Throw();
        }
    }

    static object Field(object target, string name) => target.GetType().GetField(name, Private).GetValue(target);
}
