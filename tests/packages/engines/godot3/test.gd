# What godot3-server runs: speech through both sides of a Mimi, in blocks. Prints the packets as hexadecimal digits.
extends SceneTree

func bytes(path):
	var file = File.new()
	if file.open(path, File.READ) != OK:
		print("FAILED cannot read ", path)
	return file.get_buffer(file.get_len())

func test(Mimi, model, pcm, block):
	var mimi = Mimi.new()
	var wrong = mimi.open(model, 24000)
	if wrong != "":
		return "FAILED " + wrong
	var said = 0.0
	for sample in pcm:
		said += sample * sample
	var loud = 0.0
	var packets = ""
	var at = 0
	while at < 50 * 1920:
		var samples = PoolRealArray()
		for i in block:
			samples.append(pcm[at + i] if at + i < pcm.size() else 0.0)
		at += block
		var packet = mimi.talk(samples)
		if packets.length() < 42 * 18:
			packets += packet.hex_encode()
		var frames = mimi.hear(packet, block)
		if frames.size() != block:
			return "FAILED block of " + str(frames.size())
		for frame in frames:
			loud += frame.x * frame.y
	return "block %d level %.2f packets %s" % [block, sqrt(loud / said), packets]

func _init():
	var Mimi = load("res://mimi.gdns")
	if Mimi == null or not Mimi.can_instance():
		print("FAILED the library was not loaded")
		quit()
		return
	print("    error: ", Mimi.new().open(PoolByteArray([1, 2, 3]), 24000))
	print("    error: ", Mimi.new().open())
	var model = bytes("res://model.safetensors")
	print("    error: ", Mimi.new().open(model, 24001))
	var file = File.new()
	file.open("res://speech.f32", File.READ)
	var pcm = []
	for i in file.get_len() / 4:
		pcm.append(file.get_float())
	for block in [64, 1024]:
		print(test(Mimi, model, pcm, block))
	quit()
